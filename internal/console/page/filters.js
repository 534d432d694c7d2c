// The filters of the list of customers: a form, and how it is written in the address.
import { h, list, setAttr, setText, show } from './dom.js';
import { count, rare, reasonName, reasons, stateName, states, tally } from './words.js';
import { now } from './time.js';

const times = [['', 'Any time'], ['1h', 'Last hour'], ['24h', 'Last 24 h'], ['168h', 'Last 7 days']];

/** A filter as the address has it. */
export function readFilter(parameters) {
  const one = (name) => parameters.get(name) ?? '';
  return {
    states: parameters.getAll('state'), reasons: parameters.getAll('reason'),
    since: one('since'), until: one('until'), id: one('id'), before: one('before'), after: one('after'),
  };
}

/** A filter as pairs, for the address and for the question to the worker. */
export function writeFilter(f) {
  return [
    ...f.states.map((s) => ['state', s]), ...f.reasons.map((r) => ['reason', r]),
    ['since', f.since], ['until', f.until], ['id', f.id], ['before', f.before], ['after', f.after],
  ];
}

/** Does a filter let everybody through? */
export const isEmpty = (f) => f.states.length + f.reasons.length === 0 && !f.since && !f.until && !f.id;

/** The form. changed(filter, typing) is called with what is wanted now, from the first page on. */
export function filterForm(changed) {
  let filter = readFilter(new URLSearchParams());
  let custom = false; // the custom time is open, though nothing is in it yet
  let typed = 0;
  const stateChoices = h('div', { class: 'chips' });
  const reasonChoices = h('div', { class: 'chips' });
  const reasonSet = h('fieldset', { class: 'set' }, h('legend', {}, 'Reason'), reasonChoices);
  const timeRadios = [...times, ['custom', 'Custom']].map(([value, name]) => h('label', {},
    h('input', { type: 'radio', name: 'time', value: value || 'any' }), h('span', {}, name)));
  const since = h('input', { type: 'datetime-local', id: 'since', step: '1' });
  const until = h('input', { type: 'datetime-local', id: 'until', step: '1' });
  const range = h('div', { class: 'custom', hidden: true },
    h('label', {}, h('span', {}, 'From'), since), h('label', {}, h('span', {}, 'Before'), until));
  const id = h('input', { id: 'id-prefix', inputmode: 'numeric', autocomplete: 'off', spellcheck: 'false', maxlength: '19', pattern: '[0-9]*', size: '14' });
  const clear = h('button', { type: 'button', id: 'filters-clear' }, 'Clear filters');
  const element = h('form', { id: 'filters', class: 'panel filters', 'aria-label': 'Filters' },
    h('fieldset', { class: 'set' }, h('legend', {}, 'State'), stateChoices), reasonSet,
    h('div', { class: 'set row' },
      h('fieldset', { class: 'set' }, h('legend', {}, 'State reached'), h('div', { class: 'segments' }, ...timeRadios), range),
      h('label', { class: 'set field' }, h('span', { class: 'legend' }, 'Id begins with'), id), clear));

  const change = (part, typing = false) => {
    filter = { ...filter, ...part, before: '', after: '' };
    changed(filter, typing);
    draw();
  };
  const checked = (name) => [...element.querySelectorAll(`input[name=${name}]:checked`)].map((e) => e.value);

  element.addEventListener('submit', (e) => e.preventDefault());
  element.addEventListener('change', (e) => {
    const { name, value } = e.target;
    if (name === 'state') {
      const wanted = checked('state');
      change({ states: wanted, reasons: filter.reasons.filter((r) => fits(r, wanted)) });
    } else if (name === 'reason') change({ reasons: checked('reason') });
    else if (name === 'time') {
      custom = value === 'custom';
      if (custom) draw();
      else change({ since: value === 'any' ? '' : value, until: '' });
    } else if (e.target === since || e.target === until) change({ since: fromInput(since), until: fromInput(until) }, true);
  });
  id.addEventListener('input', () => {
    const digits = id.value.replace(/[^0-9]/g, '');
    if (id.value !== digits) id.value = digits;
    clearTimeout(typed);
    typed = setTimeout(() => digits !== filter.id && change({ id: digits }, true), 250);
  });
  clear.addEventListener('click', () => {
    clearTimeout(typed);
    custom = false;
    change({ states: [], reasons: [], since: '', until: '', id: '' });
    stateChoices.querySelector('input')?.focus();
  });

  let counts = [];
  /** Which reasons a state can have is told by the counts: they name every one. */
  const fits = (reason, wanted) => wanted.length === 0 || counts.some((c) => wanted.includes(c.state) && c.reason === reason);

  function draw() {
    const known = [...new Set([...Object.keys(states), ...counts.map((c) => c.state), ...filter.states])]
      .filter((s) => !rare.includes(s) || filter.states.includes(s) || tally(counts, s) > 0);
    list(stateChoices, known, (s) => s, (s) => chip('state', s, stateName(s), states[s]?.icon, states[s]?.tone), (e, s) => setChip(e, filter.states.includes(s), tally(counts, s)));
    const inStates = (c) => filter.states.length === 0 || filter.states.includes(c.state);
    const of = (r) => counts.filter((c) => c.reason === r && inStates(c)).reduce((n, c) => n + c.count, 0);
    const fit = [...new Set([...Object.keys(reasons), ...counts.map((c) => c.reason).filter(Boolean)])]
      .filter((r) => filter.reasons.includes(r) || of(r) > 0);
    list(reasonChoices, [...new Set([...fit, ...filter.reasons])], (r) => r, (r) => chip('reason', r, reasonName(r)), (e, r) => setChip(e, filter.reasons.includes(r), of(r)));
    show(reasonSet, fit.length > 0 || filter.reasons.length > 0);
    const preset = !custom && !filter.until && times.some(([v]) => v === filter.since);
    const chosen = preset ? filter.since || 'any' : 'custom';
    for (const e of timeRadios) e.firstElementChild.checked = e.firstElementChild.value === chosen;
    show(range, chosen === 'custom');
    toInput(since, chosen === 'custom' ? filter.since : '');
    toInput(until, filter.until);
    if (document.activeElement !== id && id.value !== filter.id) id.value = filter.id;
    setAttr(clear, 'disabled', isEmpty(filter) && !custom);
  }
  return {
    element,
    /** Shows a filter, as the address has it. */
    set(f) {
      if (String(writeFilter(f)) !== String(writeFilter(filter))) custom = false; // somebody went elsewhere
      filter = f;
      draw();
    },
    /** Shows how many each choice has. */
    count(c) {
      counts = c;
      draw();
    },
    stop: () => clearTimeout(typed),
  };
}

function chip(name, value, text, icon, tone) {
  return h('label', { class: 'chip', 'data-tone': tone }, h('input', { type: 'checkbox', name, value }),
    icon ? h('span', { class: 'icon', 'aria-hidden': 'true' }, icon) : null,
    h('span', {}, text), name === 'reason' ? h('code', {}, value) : null, h('span', { class: 'n', 'data-choice': `${name}/${value}` }));
}

function setChip(e, on, n) {
  const box = e.querySelector('input');
  if (box.checked !== on) box.checked = on;
  const number = e.querySelector('.n');
  setText(number, count(n));
  setAttr(number, 'data-value', n);
}

const endOfTime = 8.64e15 - 86400e3; // milliseconds; a day is left for the zones

/** A time of a filter, null where a clock has none; it is RFC 3339 or how long ago. */
export function filterTime(text) {
  const ago = /^(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?$/.exec(text);
  const at = text && ago ? new Date(now() - ((Number(ago[1] ?? 0) * 60 + Number(ago[2] ?? 0)) * 60 + Number(ago[3] ?? 0)) * 1000) : new Date(text);
  return Math.abs(at.getTime()) < endOfTime ? at : null;
}

function fromInput(e) {
  const at = e.value ? new Date(e.value) : null;
  return at && !Number.isNaN(at.getTime()) ? at.toISOString().replace('.000Z', 'Z') : '';
}

function toInput(e, text) {
  if (document.activeElement === e) return; // somebody types
  const at = filterTime(text);
  if (at ? new Date(e.value).getTime() === Math.floor(at.getTime() / 1000) * 1000 : e.value === '') return;
  e.value = at ? new Date(at.getTime() - at.getTimezoneOffset() * 60000).toISOString().slice(0, 19) : '';
}
