// Activations over time, and how long they took: two graphs of one span, and the same as a table.
import { h, list, panel, setAttr, setText } from './dom.js';
import { ask } from './api.js';
import { Refresher, problemPlace } from './refresh.js';
import { countChart, timeChart } from './charts.js';
import { count, plural } from './words.js';
import { day, duration, hourMinute, midnight } from './time.js';

const spans = [['1h', '1 hour', 'hour'], ['24h', '24 hours', '24 hours'], ['7d', '7 days', '7 days']];

let span = '1h'; // that was chosen last, in whichever visit of the view

export function activationsPanel() {
  let latest = null; // the answer shown, with the span and the midnight that it was asked for
  let activated = null; // how many were activated when it was asked for
  let askedAt = 0;
  const listeners = [];
  const choice = h('fieldset', { class: 'segments' }, h('legend', { class: 'offscreen' }, 'Time shown'),
    ...spans.map(([value, name]) => h('label', {},
      h('input', { type: 'radio', name: 'span', value, checked: value === span }), h('span', {}, name))));
  const [total, median, p90] = ['data-total', 'data-median', 'data-p90'].map((name) => h('dd', { [name]: true }));
  const totals = h('dl', { class: 'totals' },
    h('div', {}, h('dt', {}, 'Activated'), total), h('div', {}, h('dt', {}, 'Half within'), median), h('div', {}, h('dt', {}, '9 of 10 within'), p90));
  const counts = countChart('chart-activations');
  const times = timeChart('chart-times');
  const problem = problemPlace();
  const text = asTable();
  const element = panel('activations', 'Activations', choice, problem, totals,
    h('h3', {}, 'How many'), counts.element, h('h3', {}, 'From acceptance to activation'), times.element, text.element);
  element.classList.add('graphs');

  const refresher = new Refresher(async (signal) => {
    const asked = span;
    const at = activated;
    const since = midnight();
    const answer = await ask('api/activations', [['span', asked], ['midnight', since]], signal);
    if (asked !== span) return;
    askedAt = Date.now();
    setLatest({ ...answer, span: asked, midnight: since });
    if (at !== activated) refresher.want(); // more came meanwhile
  }, 1000, problem);

  function setLatest(answer) {
    latest = answer;
    setText(total, count(answer.total));
    setAttr(total, 'data-total', answer.total);
    setTime(median, 'data-median', answer.totalMedian);
    setTime(p90, 'data-p90', answer.totalP90);
    counts.set(answer, `Activations in the last ${nameOf(answer.span)}: ${count(answer.total)}. The table below has them all.`);
    times.set(answer, `Time from acceptance to activation in the last ${nameOf(answer.span)}: ${timesInWords(answer)} The table below has them all.`);
    text.set(answer);
    for (const f of listeners) f();
  }

  choice.addEventListener('change', (e) => {
    span = e.target.value;
    refresher.restart();
  });
  return {
    element,
    latest: () => latest,
    spanName: () => nameOf(latest.span),
    /** Calls f whenever there is another answer. */
    onNews: (f) => listeners.push(f),
    told(now) {
      if (now.activated === activated) return;
      activated = now.activated;
      refresher.want();
    },
    /** Time goes on also where nothing happens: a new point every step, at least once a minute. */
    tick() {
      if (refresher.busy || !latest) return;
      if (latest.midnight !== midnight() || Math.abs(Date.now() - askedAt) > Math.min(latest.step, 60) * 1000) refresher.want();
    },
    stop() {
      refresher.stop();
      counts.stop();
      times.stop();
    },
  };
}

/** A span, as in "the last 24 hours". */
const nameOf = (span) => spans.find(([value]) => value === span)[2];

function timesInWords(a) {
  return a.totalMedian === null ? 'none is known.' : `half within ${duration(a.totalMedian)}, nine of ten within ${duration(a.totalP90)}.`;
}

function setTime(e, name, seconds) {
  setText(e, seconds === null ? '–' : duration(seconds));
  setAttr(e, name, seconds ?? '');
}

/** The same as a table, for those who cannot see graphs. It is filled while it is open. */
function asTable() {
  const body = h('tbody');
  const caption = h('caption');
  const table = h('table', { id: 'activations-table', class: 'plain' }, caption, h('thead', {}, h('tr', {},
    ...['From', 'Activated', 'Half within', '9 of 10 within'].map((t) => h('th', { scope: 'col' }, t)))), body);
  const element = h('details', { id: 'activations-text' }, h('summary', {}, 'As a table'),
    h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Activations as a table' }, table));
  let latest = null;
  function fill() {
    if (!element.open || !latest) return;
    const rows = latest.times.map((t, i) => ({ t, n: latest.counts[i], median: latest.median[i], p90: latest.p90[i] })).filter((r) => r.n > 0).reverse();
    setText(caption, rows.length === 0 ? `None in the last ${nameOf(latest.span)}.`
      : `The last ${nameOf(latest.span)}, the newest first, ${duration(latest.step)} a line; ${plural(latest.times.length - rows.length, 'line')} without any left out.`);
    list(body, rows, (r) => r.t, (r) => h('tr', {}, h('th', { scope: 'row' }, label(r.t)), h('td'), h('td'), h('td')), (e, r) => {
      setText(e.children[1], count(r.n));
      setText(e.children[2], r.median === null ? '–' : duration(r.median));
      setText(e.children[3], r.p90 === null ? '–' : duration(r.p90));
    });
  }
  element.addEventListener('toggle', () => {
    if (element.open) fill();
    else body.replaceChildren();
  });
  return {
    element,
    set(answer) {
      latest = answer;
      fill();
    },
  };
}

function label(unix) {
  const at = new Date(unix * 1000);
  const seconds = at.getSeconds() === 0 ? '' : `:${String(at.getSeconds()).padStart(2, '0')}`;
  return `${day(at)}, ${hourMinute(at)}${seconds}`;
}
