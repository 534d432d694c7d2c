// The big numbers, and the bars of reasons.
import { h, list, panel, setAttr, setPart, setText, show } from './dom.js';
import { viewHash } from './hash.js';
import { count, plural, reasonName, states, tally } from './words.js';
import { duration, midnight } from './time.js';

/** A number in large. It is a link where there is a list of whom it counts. */
function figure(name, label, tone, hash) {
  const value = h('span', { class: 'value', 'data-figure': name }, '–');
  const note = h('p', { class: 'note' });
  const icon = h('span', { class: 'icon', 'aria-hidden': 'true' }, states[tone].icon);
  const element = h('div', { class: 'figure', 'data-tone': states[tone].tone },
    h('h2', {}, icon, ' ', hash ? h('a', { href: hash }, label) : label), h('p', { class: 'big' }, value), note);
  return {
    element,
    set(n, text) {
      setText(value, n === null ? '–' : count(n));
      setAttr(value, 'data-value', n);
      setText(note, text);
    },
  };
}

/** The figures of the day. graphs knows the activations: figures asks it for those of today. */
export function figures(graphs) {
  const all = {
    activated: figure('activated-today', 'Activated today', 'activated', viewHash('customers', [['state', 'activated']])),
    flight: figure('in-flight', 'In flight', 'started', viewHash('customers', [['state', 'started']])),
    waiting: figure('waiting', 'Waiting', 'deferred', viewHash('customers', [['state', 'deferred']])),
    failed: figure('failed', 'Failed', 'failed', viewHash('customers', [['state', 'failed']])),
  };
  const counting = h('p', { class: 'counting', hidden: true });
  const element = h('section', { class: 'figures', 'aria-label': 'How many' }, counting, ...Object.values(all).map((f) => f.element));
  let latest = null;
  const today = () => {
    const a = graphs.latest();
    if (!a || !latest?.known || a.midnight !== midnight()) return all.activated.set(null, ''); // a part of them is no answer, nor are yesterday's
    const how = a.totalMedian === null ? 'since midnight, by your clock'
      : `since midnight; half within ${duration(a.totalMedian)} (last ${graphs.spanName()})`;
    all.activated.set(a.today, how);
  };
  graphs.onNews(today);
  return {
    element,
    told(now) {
      latest = now;
      show(counting, !now.known);
      setText(counting, now.known ? '' : `The customers are being counted; ${plural(now.lag, 'message')} of the ledger to go.`);
      const of = (state) => (now.known ? tally(now.counts, state) : null);
      const busy = (now.lanes ?? []).reduce((n, l) => n + l.busy, 0);
      const slots = (now.lanes ?? []).reduce((n, l) => n + l.slots, 0);
      all.flight.set(of('started'), `this worker: ${count(busy)} of ${plural(slots, 'slot')} busy`);
      all.waiting.set(of('deferred'), leading(now, 'deferred', 'nobody'));
      all.failed.set(of('failed'), leading(now, 'failed', 'nobody'));
      today();
    },
    tick: () => latest && today(),
  };
}

/** The counts of a state's reasons that somebody has, the largest first. */
const byCount = (counts, state) => (counts ?? []).filter((c) => c.state === state && c.count > 0)
  .sort((a, b) => b.count - a.count || (a.reason < b.reason ? -1 : 1));

/** The most frequent reason, in words. */
function leading(now, state, none) {
  if (!now.known) return '';
  const most = byCount(now.counts, state)[0];
  return most ? `most: ${reasonName(most.reason) || 'no reason given'}` : none;
}

/** A panel with a bar for each reason of a state; each leads to the list of its customers. */
export function reasonBars(id, title, state, none) {
  const bars = h('ul', { class: 'bars', role: 'list' });
  const nobody = h('p', { class: 'empty' });
  const element = panel(id, title, bars, nobody);
  if (state === 'failed') element.append(h('p', { class: 'more' }, h('a', { href: viewHash('replay', [['all-failed', 'true']]) }, 'Preview a replay')));
  return {
    element,
    told(now) {
      const rows = now.known ? byCount(now.counts, state) : [];
      const most = rows[0]?.count ?? 1;
      list(bars, rows, (c) => c.reason ?? '', (c) => bar(state, c.reason ?? '', state), (e, c) => setBar(e, c, most));
      show(nobody, rows.length === 0);
      setText(nobody, now.known ? none : 'Not counted yet.');
    },
  };
}

function bar(state, reason, tone) {
  const link = h('a', { href: viewHash('customers', [['state', state], ['reason', reason]]) },
    h('span', { class: 'label' }, reasonName(reason) || 'No reason given'), ' ', h('code', {}, reason), ' ',
    h('span', { class: 'n', 'data-count': `${state}/${reason}` }), h('span', { class: 'bar', 'aria-hidden': 'true' }));
  return h('li', { 'data-tone': states[tone].tone }, link);
}

function setBar(e, c, most) {
  const n = e.querySelector('[data-count]');
  setText(n, count(c.count));
  setAttr(n, 'data-value', c.count);
  setPart(e.querySelector('.bar'), c.count / most);
}
