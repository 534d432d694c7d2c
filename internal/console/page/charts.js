// The graphs, by uPlot: bars of how many, lines of how long. What they show stands beside them as text too.
import uPlot from './uplot/uPlot.esm.js';
import { h, setAttr, setText } from './dom.js';
import { count, plural } from './words.js';
import { day, duration, hourMinute } from './time.js';

const dark = matchMedia('(prefers-color-scheme: dark)');
const gap = 1000; // milliseconds between two paintings, at least

/** The middles of the steps: what is nearest to the pointer is then the step that it is in. */
const middles = (a) => a.times.map((t) => t + a.step / 2);

/** Bars: how many were activated in each step. */
export function countChart(id) {
  return chart(id, {
    height: 180,
    scale: { range: (_u, _min, max) => [0, Math.max(4, Math.ceil((max ?? 0) * 1.1))] },
    series: [{}, { label: 'Activated', stroke: colour('--good'), fill: colour('--good-soft'), width: 1, paths: uPlot.paths.bars({ size: [0.85, 40, 1] }), points: { show: false } }],
    y: { values: (_u, at) => at.map((v) => (Number.isInteger(v) ? count(v) : '')) },
    columns: (a) => [middles(a), a.counts],
    said: (a, i) => plural(a.counts[i], 'activation'),
  });
}

const ticks = [0.01, 0.1, 1, 10, 60, 600, 3600, 6 * 3600, 86400, 7 * 86400, 30 * 86400];
const least = 0.05; // seconds: the scale has no zero

/** Lines: the median and the 90th percentile of the time to activate, on a scale that shows seconds beside days. */
export function timeChart(id) {
  const shown = (values) => values.map((v) => (v === null ? null : Math.max(least, v)));
  return chart(id, {
    height: 180,
    scale: { distr: 3, range: (_u, min, max) => around(min, max) },
    series: [{},
      { label: 'Half within', stroke: colour('--info'), width: 2, points: { show: true, size: 5, fill: colour('--info'), filter: lonely } },
      { label: '9 of 10 within', stroke: colour('--wait'), width: 2, dash: [6, 4], points: { show: true, size: 5, fill: colour('--panel'), filter: lonely } }],
    y: {
      splits: (u) => ticks.filter((t) => t >= u.scales.y.min && t <= u.scales.y.max),
      values: (_u, at) => at.map((v) => duration(v)),
      filter: (_u, at) => at, // all of them
    },
    columns: (a) => [middles(a), shown(a.median), shown(a.p90)],
    said: (a, i) => (a.median[i] === null ? 'no time known' : `half within ${duration(a.median[i])}, 9 of 10 within ${duration(a.p90[i])}`),
    legend: [['line', 'Half within'], ['line dashed', '9 of 10 within']],
  });
}

/** Points that no line leads to: only they need a dot of their own. */
function lonely(u, series) {
  const values = u.data[series];
  const none = (i) => values[i] === null || values[i] === undefined;
  return [...values.keys()].filter((i) => !none(i) && none(i - 1) && none(i + 1));
}

/** The ticks around the values, so that the scale does not jump with each of them. */
function around(min, max) {
  if (min === null || max === null || min === undefined) return [1, 60];
  const low = ticks.findLast((t) => t <= min) ?? ticks[0];
  const high = ticks.find((t) => t >= max && t > low) ?? ticks.at(-1);
  return [low, high];
}

/** A colour of the style sheet, looked up when it is painted with, so that light and dark can change. */
const colour = (name) => () => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** A graph that is painted at most once a second, only while it is seen, and leaves nothing behind. */
function chart(id, kind) {
  const box = h('div', { id, class: 'chart', role: 'img', 'aria-label': 'No data yet' });
  const said = h('p', { class: 'pointed', 'aria-hidden': 'true' });
  const legend = (kind.legend ?? []).map(([mark, name]) => h('span', {}, h('i', { class: mark }), name));
  const element = h('figure', {}, box, h('div', { class: 'legend', 'aria-hidden': 'true' }, ...legend, said));
  let plot = null;
  let answer = null;
  let painted = -Infinity;
  let timer = 0;

  function point(u) {
    const i = u.cursor.idx;
    if (i === null || i === undefined || !answer || i >= answer.times.length) return setText(said, '');
    const from = new Date(answer.times[i] * 1000);
    setText(said, `${day(from)}, ${hourMinute(from)}: ${kind.said(answer, i)}`);
  }

  /** The whole time of the answer: also the last step, which has only begun. */
  const all = () => (answer?.times.length ? [answer.times[0], answer.times.at(-1) + answer.step] : [0, 1]);

  function paint() {
    clearTimeout(timer);
    timer = 0;
    if (document.hidden || !answer || box.clientWidth === 0) return;
    const left = painted + gap - performance.now();
    if (left > 0) {
      timer = setTimeout(paint, left);
      return;
    }
    painted = performance.now();
    if (plot) plot.setData(kind.columns(answer));
    else plot = new uPlot(options(kind, box.clientWidth, point, all), kind.columns(answer), box);
  }

  const onShow = () => !document.hidden && paint();
  const repaint = () => plot?.redraw(false);
  const size = new ResizeObserver(() => {
    if (!plot) paint();
    else if (box.clientWidth > 0 && box.clientWidth !== plot.width) plot.setSize({ width: box.clientWidth, height: kind.height });
  });
  size.observe(box);
  dark.addEventListener('change', repaint);
  document.addEventListener('visibilitychange', onShow);
  return {
    element,
    set(a, words) {
      answer = a;
      setAttr(box, 'aria-label', words);
      paint();
    },
    stop() {
      clearTimeout(timer);
      size.disconnect();
      dark.removeEventListener('change', repaint);
      document.removeEventListener('visibilitychange', onShow);
      plot?.destroy();
      plot = answer = null;
    },
  };
}

function options(kind, width, point, all) {
  const axis = {
    stroke: colour('--quiet'), font: '12px system-ui, sans-serif',
    grid: { stroke: colour('--line'), width: 1 }, ticks: { stroke: colour('--line'), width: 1, size: 4 },
  };
  const time = (u, at) => at.map((t, i) => {
    const d = new Date(t * 1000);
    return d.getHours() === 0 && d.getMinutes() === 0 && u.scales.x.max - u.scales.x.min > 7200 ? day(d) : i >= 0 ? hourMinute(d) : '';
  });
  return {
    width, height: kind.height,
    legend: { show: false },
    cursor: { drag: { x: false, y: false }, points: { size: 7 } },
    scales: { x: { time: true, range: all }, y: kind.scale },
    axes: [{ ...axis, values: time, space: 70, size: 28 }, { ...axis, size: 62, gap: 4, space: 26, ...kind.y }],
    series: kind.series,
    hooks: { setCursor: [point] },
  };
}
