// Buttons that copy. The text to copy stands in the attribute data-copy, exactly.
import { h, setAttr, setText } from './dom.js';

/** A button that copies a text. label is what it says; what it is about is for those who cannot see where it stands. */
export function copyButton(text, label, about, attributes = {}) {
  return h('button', { type: 'button', class: 'copy', 'data-copy': text, 'aria-label': about ? `${label} ${about}` : null, ...attributes },
    h('span', { class: 'copy-label' }, label));
}

/** Gives a copy button another text. */
export const setCopy = (button, text) => setAttr(button, 'data-copy', text);

/** Copies when a copy button is pressed, wherever it is in the page. said is a live region. */
export function listenForCopies(said) {
  document.addEventListener('click', async (e) => {
    const button = e.target.closest?.('[data-copy]');
    if (!button || button.disabled) return;
    const done = await copy(button.getAttribute('data-copy'));
    mark(button, done, said);
  });
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch { // no clipboard: a page that is not on loopback and not served by https has none
    return copyBySelection(text);
  }
}

function copyBySelection(text) {
  const focus = document.activeElement;
  const area = h('textarea', { class: 'offscreen', 'aria-hidden': 'true', tabindex: '-1' });
  area.value = text;
  document.body.append(area);
  area.select();
  let done = false;
  try {
    done = document.execCommand('copy');
  } catch { /* told below */ }
  area.remove();
  focus?.focus?.({ preventScroll: true });
  return done;
}

const marks = new WeakMap();

function mark(button, done, said) {
  const label = button.querySelector('.copy-label');
  const before = marks.get(button);
  const text = before?.text ?? label.textContent;
  clearTimeout(before?.timer);
  setAttr(button, 'data-copied', done ? 'true' : 'failed');
  setText(label, done ? 'Copied' : 'Not copied');
  setText(said, done ? 'Copied.' : 'The browser did not let this page copy; select the text instead.');
  marks.set(button, {
    text,
    timer: setTimeout(() => {
      marks.delete(button);
      setAttr(button, 'data-copied', null);
      setText(label, text);
      setText(said, '');
    }, 2000),
  });
}
