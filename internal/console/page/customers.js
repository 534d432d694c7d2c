// The view Customers: a list with filters, a page of it at a time. The worker filters and counts; this page only shows.
import { h, list, setAttr, setAttrs, setText, show } from './dom.js';
import { ask } from './api.js';
import { Refresher, problemPlace } from './refresh.js';
import { filterForm, isEmpty, readFilter, writeFilter } from './filters.js';
import { viewHash } from './hash.js';
import { makeRow, setRow, tableHead } from './rows.js';
import { count } from './words.js';

const page = 50; // rows

export function customersView(root, parameters, { title }) {
  title('Customers');
  let filter = readFilter(parameters);
  let sequence = null; // of the ledger, when the list was asked for
  const form = filterForm((wanted, typing) => go(wanted, typing));
  const problem = problemPlace();
  const range = h('p', { id: 'range' }, 'Asking…');
  const newer = h('a', { id: 'newer', rel: 'prev' }, '‹ Newer');
  const older = h('a', { id: 'older', rel: 'next' }, 'Older ›');
  const replay = h('a', { class: 'more' }, 'Preview a replay of these');
  const pages = h('nav', { class: 'pages', 'aria-label': 'Pages' }, newer, range, older, h('span', { class: 'space' }), replay);
  const head = tableHead();
  setAttr(head.firstElementChild, 'aria-rowindex', 1);
  const body = h('tbody', { role: 'rowgroup' });
  const table = h('table', { id: 'customers', class: 'cards', role: 'table', 'aria-rowcount': -1 },
    h('caption', { class: 'offscreen' }, 'Customers, the newest state first'), head, body);
  const nobody = h('p', { id: 'no-customers', class: 'empty', hidden: true }, 'No customer fits.');
  const places = h('section', { class: 'panel listed', 'aria-label': 'Customers that fit' }, pages, problem, table, nobody);
  root.append(h('h1', { tabindex: '-1' }, 'Customers'), form.element, places);

  const refresher = new Refresher(async (signal) => {
    const asked = filter;
    try {
      const answer = await ask('api/customers', [...writeFilter(asked), ['limit', page]], signal);
      if (asked === filter) draw(answer);
    } catch (e) {
      if (asked === filter && e.mends === false) drawNobody(); // the rows shown are of another filter
      throw e;
    }
  }, 2000, problem);

  function go(wanted, typing) {
    const hash = viewHash('customers', writeFilter(wanted));
    if (!typing) {
      location.hash = hash;
      return;
    }
    history.replaceState(null, '', hash); // each key pressed is no place to go back to
    set(wanted);
  }

  function set(wanted) {
    filter = wanted;
    form.set(filter);
    setAttr(table, 'aria-busy', 'true');
    refresher.restart();
  }

  function draw({ total, ahead, counts, rows: there }) {
    const rows = there ?? [];
    if (rows.length === 0 && total > 0 && (filter.before || filter.after)) return go({ ...filter, before: '', after: '' }, true); // the page has gone
    form.count(counts ?? []);
    list(body, rows, (r) => r.domainId, makeRow, setRow);
    rows.forEach((_, i) => setAttr(body.children[i], 'aria-rowindex', ahead + i + 2)); // the head is the first
    setAttr(table, 'aria-busy', null);
    setAttr(table, 'aria-rowcount', total + 1);
    show(table, rows.length > 0);
    show(nobody, rows.length === 0);
    setText(range, rows.length === 0 ? 'Nobody' : `${count(ahead + 1)}–${count(ahead + rows.length)} of ${count(total)}`);
    setAttrs(range, { 'data-from': rows.length && ahead + 1, 'data-to': ahead + rows.length, 'data-total': total });
    setPage(newer, ahead > 0, { after: ahead <= page ? '' : rows[0]?.cursor, before: '' });
    setPage(older, ahead + rows.length < total, { before: rows.at(-1)?.cursor, after: '' });
    offerReplay(total);
    setText(nobody, isEmpty(filter) ? 'There is no customer yet.' : 'No customer fits.');
  }

  function drawNobody() {
    body.replaceChildren();
    setAttr(table, 'aria-busy', null);
    show(table, false);
    show(nobody, false);
    setText(range, '–');
    setAttrs(range, { 'data-from': null, 'data-to': null, 'data-total': null });
    for (const a of [newer, older]) setPage(a, false);
    show(replay, false);
  }

  function setPage(a, there, part) {
    setAttrs(a, there ? { href: viewHash('customers', writeFilter({ ...filter, ...part })), tabindex: null, role: null, 'aria-disabled': null }
      : { tabindex: '-1', href: null, role: 'link', 'aria-disabled': 'true' }); // who has just pressed it keeps the focus
  }

  /** Where only the failed are shown, the same can be replayed. A replay takes one reason, so several are no such choice. */
  function offerReplay(total) {
    const fits = filter.states.length === 1 && filter.states[0] === 'failed' && filter.reasons.length < 2 && !filter.id && total > 0;
    show(replay, fits);
    if (!fits) return;
    const chosen = filter.reasons.length === 1 || filter.since || filter.until;
    setAttr(replay, 'href', viewHash('replay', chosen ? [['reason', filter.reasons[0]], ['since', filter.since], ['until', filter.until]] : [['all-failed', 'true']]));
    setText(replay, `Preview a replay of ${total === 1 ? 'this one' : `these ${count(total)}`}`);
  }

  form.set(filter);
  refresher.want();
  return {
    route(wanted) {
      const before = filter;
      set(readFilter(wanted));
      const turned = before.before !== filter.before || before.after !== filter.after;
      if (turned) places.scrollIntoView({ block: 'start' });
    },
    told(now) {
      if (now.sequence === sequence) return;
      sequence = now.sequence;
      refresher.want();
    },
    stop() {
      refresher.stop();
      form.stop();
    },
  };
}
