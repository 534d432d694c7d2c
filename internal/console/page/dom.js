// Small helpers around the DOM. Everything shown comes in as text, so nothing that a customer or the partner wrote can become
// markup; and what did not change is not touched, so that selection, focus and screen readers are left in peace.

/**
 * Makes an element: h('a', {class: 'x', href: '#/'}, 'text', child).
 * An attribute that is null, undefined or false is left out; true is the empty attribute.
 */
export function h(tag, attributes = {}, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) setAttr(e, name, value);
  e.append(...children.filter((c) => c !== null && c !== undefined));
  return e;
}

/** Gives an element its text, if it has another. */
export function setText(e, text) {
  const t = String(text);
  if (e.textContent !== t) e.textContent = t;
}

/** Gives an attribute its value, if it has another. */
export function setAttr(e, name, value) {
  if (value === null || value === undefined || value === false) {
    if (e.hasAttribute(name)) e.removeAttribute(name);
    return;
  }
  const v = value === true ? '' : String(value);
  if (e.getAttribute(name) !== v) e.setAttribute(name, v);
}

/** Sets several attributes. */
export function setAttrs(e, attributes) {
  for (const [name, value] of Object.entries(attributes)) setAttr(e, name, value);
}

/** Shows or hides an element. */
export function show(e, shown) {
  if (e.hidden === shown) e.hidden = !shown;
}

/** How much of a bar is full, 0 to 1; the style sheet makes a width of it. */
export function setPart(e, part) {
  const v = Number.isFinite(part) ? String(Math.round(Math.min(1, Math.max(0, part)) * 1000) / 1000) : '0';
  if (e.style.getPropertyValue('--part') !== v) e.style.setProperty('--part', v);
}

/**
 * Makes the children of parent those of items, in that order: one element per key, made once and updated after.
 * The element that has the focus is never taken out of the document, since it would lose it.
 */
export function list(parent, items, keyOf, make, update = () => {}) {
  const old = new Map([...parent.children].map((e) => [e.__key, e]));
  const wanted = items.map((item) => {
    const key = String(keyOf(item));
    let e = old.get(key);
    if (e) old.delete(key);
    else {
      e = make(item);
      e.__key = key;
    }
    update(e, item);
    return e;
  });
  const heir = heirOfFocus(parent, old, wanted);
  for (const e of old.values()) e.remove();
  let at = parent.firstElementChild;
  for (const e of wanted) {
    if (e !== at && e.contains(document.activeElement)) {
      while (at && at !== e) { // the others make way
        const next = at.nextElementSibling;
        parent.append(at);
        at = next;
      }
    }
    if (e === at) at = at.nextElementSibling;
    else parent.insertBefore(e, at);
  }
  heir?.querySelector('a[href], button, summary, input')?.focus({ preventScroll: true });
}

/** Who gets the focus when the element that has it goes: what comes to stand in its place. */
function heirOfFocus(parent, going, wanted) {
  const focus = document.activeElement;
  if (!focus || focus === parent || !parent.contains(focus)) return null;
  const loser = [...parent.children].findIndex((e) => e.contains(focus));
  if (loser < 0 || !going.has(parent.children[loser].__key)) return null;
  return wanted[Math.min(loser, wanted.length - 1)] ?? null;
}

// Characters that show nothing, or turn the direction of what stands beside them.
const unseen = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

/** Text that somebody else wrote, with what cannot be seen made visible. It stands in an element of class "ext". */
export function visible(text) {
  return String(text).replace(unseen, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Text that somebody else wrote, in an element that keeps its writing direction to itself. */
export function ext(text, attributes = {}) {
  return h('bdi', { class: 'ext', ...attributes }, visible(text ?? ''));
}

/** A heading with an icon-free short text, and what stands under it: a panel of a view. */
export function panel(id, title, ...children) {
  const head = h('h2', { id: `${id}-title` }, title);
  return h('section', { id, class: 'panel', 'aria-labelledby': `${id}-title` }, head, ...children);
}
