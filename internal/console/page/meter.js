// A meter: a bar with its numbers beside it.
import { h, setAttrs, setPart, setText } from './dom.js';
import { count } from './words.js';

/** Makes a meter. label is what it measures. */
export function meter(label, attributes = {}) {
  const bar = h('span', { class: 'meter', role: 'meter', 'aria-label': label, 'aria-valuemin': 0, ...attributes });
  return h('div', { class: 'metered' }, h('span', { class: 'label' }, label), h('span', { class: 'n' }), bar);
}

/** Gives a meter its numbers. limit 0: there is none. */
export function setMeter(e, used, limit) {
  const [, n, bar] = e.children;
  const text = limit > 0 ? `${count(used)} of ${count(limit)}` : `${count(used)}, no limit`;
  setText(n, text);
  setPart(bar, limit > 0 ? used / limit : 0);
  setAttrs(bar, {
    'aria-valuenow': limit > 0 ? Math.min(used, limit) : used, 'aria-valuemax': limit > 0 ? limit : Math.max(used, 1), 'aria-valuetext': text,
    'data-full': limit > 0 && used >= limit ? 'true' : null,
  });
}
