// What the codes of states, reasons and lanes are called. A code that this page does not know is shown as it is, also one that every
// object has a member of the name of: the tables inherit nothing.
import { h, setAttr, setText } from './dom.js';

/** States in the order in which a customer goes through them. The icon says the same as the colour. */
export const states = {
  __proto__: null,
  started: { name: 'In flight', icon: '●', tone: 'info' },
  deferred: { name: 'Waiting', icon: '◔', tone: 'wait' },
  activated: { name: 'Activated', icon: '✓', tone: 'good' },
  failed: { name: 'Failed', icon: '✕', tone: 'bad' },
  forgotten: { name: 'Forgotten', icon: '–', tone: 'mute' },
  unknown: { name: 'Of a newer version', icon: '?', tone: 'wait' },
};

/** States that are worth a choice only where somebody is in them. */
export const rare = ['unknown'];

/** Reasons, as the worker's list has them. */
export const reasons = {
  __proto__: null,
  dns_unverified: 'DNS record not visible',
  terms_pending: 'Terms not accepted yet',
  unknown_outcome: 'Outcome not known yet',
  transient: 'Partner too busy or not reached',
  partner_unavailable: 'Partner cannot be used',
  customer_not_found: 'Customer not found at the partner',
  backlog: 'Announced long ago, in turn',
  replay: 'Queued again by an operator',
  refused: 'Refused by the partner',
  cancelled: 'Cancelled by an operator',
};

/** Lanes of those who wait for a permit. */
export const lanes = {
  __proto__: null,
  fresh: 'Just announced',
  waiting: 'Their time has come',
  replay: 'Replayed',
};

/** Lanes of a worker, and consumers of all. */
export const queues = {
  __proto__: null,
  intake: 'Just announced',
  activator: 'Announcements',
  due: 'Their time has come',
  redo: 'Replayed',
  requests: 'Operators’ requests',
};

/** Operations of the partner. */
export const operations = {
  __proto__: null,
  activate: 'Activate',
  customer: 'Look up a customer',
  list: 'List customers',
  upgrade_domain: 'Ask for DNS records',
  token: 'Get a token',
};

/** Why a worker takes no work. */
export const pauses = {
  __proto__: null,
  starting: 'The worker is starting',
  no_credentials: 'No credentials are set',
  credentials_refused: 'The credentials are refused',
  partner_unavailable: 'The partner cannot be used',
  partner_down: 'The partner does not answer',
  everybody_refused: 'The partner refuses everybody',
};

export const stateName = (code) => states[code]?.name ?? (code || 'Unknown');
export const reasonName = (code) => reasons[code] ?? code;

/** A code in words: the table's, else the code with its underscores as spaces. */
export const named = (table, code) => table[code] ?? String(code).replaceAll('_', ' ').replace(/^./, (c) => c.toUpperCase());

const grouped = new Intl.NumberFormat('en-US');

/** A whole number with its thousands apart. */
export const count = (n) => grouped.format(n ?? 0);

/** One thing or many: plural(2, 'customer') is "2 customers". */
export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

/** An element that shows a state: icon, word, colour. */
export function stateBadge(state) {
  const e = h('span', { class: 'state' }, h('span', { class: 'icon', 'aria-hidden': 'true' }), h('span'));
  setState(e, state);
  return e;
}

/** Gives an element made by stateBadge its state. */
export function setState(e, state) {
  setAttr(e, 'data-tone', states[state]?.tone ?? 'mute');
  setText(e.firstElementChild, states[state]?.icon ?? '?');
  setText(e.lastElementChild, stateName(state));
}

/** An element that shows a reason: words, and the code that logs and commands use. */
export function reasonLabel(reason) {
  const e = h('span', { class: 'reason' }, h('span'), ' ', h('code'));
  setReason(e, reason);
  return e;
}

/** Gives an element made by reasonLabel its reason. */
export function setReason(e, reason) {
  setText(e.firstElementChild, reason ? reasonName(reason) : '');
  setText(e.lastElementChild, reason ?? '');
}

/** Counts customers: total of a state, or of a reason in it, by the list of counts. */
export function tally(counts, state, reason) {
  let n = 0;
  for (const c of counts ?? []) if (c.state === state && (reason === undefined || (c.reason ?? '') === reason)) n += c.count;
  return n;
}
