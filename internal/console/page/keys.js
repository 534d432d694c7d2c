// The keyboard: shortcuts, their list, and the search for a customer.
import { setAttr, setText } from './dom.js';
import { customerHash, isDomainID } from './hash.js';

const at = (id) => document.getElementById(id);
const setting = 'shortcuts';

/** Are single keys shortcuts? Who speaks to the browser, or has a cat, may not want that. */
function shortcutsOn() {
  try {
    return localStorage.getItem(setting) !== 'off';
  } catch {
    return true;
  }
}

const go = (hash) => {
  location.hash = hash;
};

/** What follows the key g. */
const places = { n: '#/', c: '#/customers', r: '#/replay' };

const keys = {
  '/': () => at('search').focus(),
  '?': openHelp,
  '[': () => document.querySelector('#newer[href]')?.click(),
  ']': () => document.querySelector('#older[href]')?.click(),
};

/** Listens to the keyboard and to the search. */
export function listenForKeys() {
  let leader = 0; // when g was pressed
  document.addEventListener('keydown', (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.isComposing || at('help').open) return;
    if (e.target.closest?.('input:not([type=checkbox], [type=radio]), textarea, select')) {
      if (e.key === 'Escape') e.target.blur();
      return;
    }
    if (!shortcutsOn()) return;
    const place = Date.now() - leader < 1500 ? places[e.key] : undefined;
    leader = e.key === 'g' ? Date.now() : 0;
    const act = place ? () => go(place) : keys[e.key];
    if (!act) return;
    e.preventDefault();
    act();
  });
  listenForSearch();
  listenForHelp();
}

function listenForSearch() {
  const box = at('search');
  at('search-form').addEventListener('submit', (e) => {
    e.preventDefault();
    const id = box.value.trim();
    const right = isDomainID(id);
    setText(at('search-wrong'), right || id === '' ? '' : 'A domain id is a number, such as 51200931.');
    setAttr(box, 'aria-invalid', right || id === '' ? null : 'true');
    if (!right) return;
    box.value = '';
    go(customerHash(id));
  });
  box.addEventListener('input', () => {
    setText(at('search-wrong'), '');
    setAttr(box, 'aria-invalid', null);
  });
}

function openHelp() {
  at('shortcuts-on').checked = shortcutsOn();
  at('help').showModal();
}

function listenForHelp() {
  const help = at('help');
  at('help-open').addEventListener('click', openHelp);
  at('help-close').addEventListener('click', () => help.close());
  help.addEventListener('click', (e) => { // beside it
    if (e.target === help) help.close();
  });
  at('shortcuts-on').addEventListener('change', (e) => {
    try {
      localStorage.setItem(setting, e.target.checked ? 'on' : 'off');
    } catch { /* a browser that keeps nothing: on again with the next page */ }
  });
}
