// A customer as a row of a table; on a narrow screen the row is a card, so that each cell carries its title.
import { ext, h, setAttr, setAttrs, setText, show, visible } from './dom.js';
import { customerHash } from './hash.js';
import { reasonLabel, setReason, setState, stateBadge } from './words.js';
import { moment, setWhen, when } from './time.js';

const titles = ['Id', 'Domain', 'State', 'Reason', 'Since', 'Next attempt', 'Code'];

/** The head of the table. more are titles of further columns. The roles stay where the style sheet makes cards of it. */
export const tableHead = (...more) => h('thead', { role: 'rowgroup' },
  h('tr', { role: 'row' }, ...[...titles, ...more].map((t) => h('th', { scope: 'col', role: 'columnheader' }, t))));

const cell = (title, ...content) => h('td', { role: 'cell', 'data-title': title }, ...content);

/** Makes the row of a customer. */
export function makeRow(r) {
  const row = h('tr', { role: 'row', 'data-customer': r.domainId },
    h('th', { scope: 'row', role: 'rowheader', 'data-title': 'Id' }, h('a', { href: customerHash(r.domainId) }, r.domainId)),
    cell('Domain', ext(r.domain), ext(r.reference, { class: 'ext reference', title: 'Reference' })),
    cell('State', stateBadge(r.state)), cell('Reason', reasonLabel(r.reason)),
    cell('Since', when(null)), cell('Next attempt', when(null)), cell('Code', h('code', { class: 'ext' })));
  return row;
}

/** Brings the row of a customer up to date. */
export function setRow(row, r) {
  setAttrs(row, { 'data-state': r.state, 'data-reason': r.reason || null });
  const [, domain, state, reason, since, next, code] = row.children;
  setText(domain.firstElementChild, visible(r.domain ?? ''));
  setText(domain.lastElementChild, visible(r.reference ?? ''));
  show(domain.lastElementChild, Boolean(r.reference));
  setState(state.firstElementChild, r.state);
  setReason(reason.firstElementChild, r.reason);
  setWhen(since.firstElementChild, moment(r.since));
  setWhen(next.firstElementChild, moment(r.nextAttemptAt));
  setText(code.firstElementChild, visible(r.code ?? ''));
  for (const [c, filled] of [[domain, r.domain || r.reference], [reason, r.reason], [since, r.since], [next, r.nextAttemptAt], [code, r.code]]) {
    setAttr(c, 'data-empty', filled ? null : 'true'); // a card leaves it out
  }
}
