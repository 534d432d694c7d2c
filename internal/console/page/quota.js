// The partner's quota: what is used of it by all workers, and who waits for it.
import { h, list, panel, setAttr, setText, show } from './dom.js';
import { meter, setMeter } from './meter.js';
import { count, lanes, named, operations, plural } from './words.js';
import { moment, now, setWhen, when } from './time.js';

const windows = { peak: 'At once', sustained: 'On average' };

export function quotaPanel() {
  const until = when(null, { class: 'when exact' });
  const paused = h('p', { id: 'quota-paused', class: 'notice', 'data-tone': 'wait', hidden: true },
    h('span', { class: 'icon', 'aria-hidden': 'true' }, '‖'), ' The partner wants no request before ', until, '.');
  const places = meter('Requests at the same time', { 'data-places': true });
  const all = h('div', { class: 'windows' });
  const waiting = h('dl', { class: 'lanes' });
  const nobody = h('p', { class: 'empty' }, 'Nobody waits for a permit.');
  const known = h('div', {}, paused, places, all, h('h3', {}, 'Waiting for a permit, in this worker'), waiting, nobody);
  const unknown = h('p', { class: 'empty' }, 'Not known yet.');
  return {
    element: panel('quota', 'Quota', known, unknown),
    told({ quota }) {
      show(known, Boolean(quota));
      show(unknown, !quota);
      if (!quota) return;
      const at = moment(quota.pausedUntil);
      const still = at !== null && at.getTime() > now() - 1000;
      show(paused, still);
      setWhen(until, still ? at : null);
      setMeter(places, quota.placesUsed, quota.places);
      list(all, quota.windows ?? [], (w) => w.name, makeWindow, setWindow);
      list(waiting, quota.waiting ?? [], (w) => w.lane, makeWaiting, setWaiting);
      show(nobody, (quota.waiting ?? []).every((w) => w.count === 0));
    },
  };
}

function makeWindow(w) {
  return h('div', { class: 'window', 'data-window': w.name }, h('h3', {}), h('div'), h('p', { class: 'empty' }, 'Not used.'));
}

function setWindow(e, w) {
  const [title, meters, none] = e.children;
  setText(title, `${windows[w.name] ?? w.name}: ${w.configured === '0' ? 'no limit' : `${w.configured} for each operation`}, counted over ${span(w.seconds)}`);
  const used = w.operations ?? [];
  list(meters, used, (o) => o.operation, (o) => meter(named(operations, o.operation), { 'data-window-name': w.name, 'data-operation': o.operation }),
    (m, o) => setMeter(m, o.used, o.limit));
  show(none, used.length === 0);
}

function span(seconds) {
  if (seconds >= 3600 && seconds % 3600 === 0) return plural(seconds / 3600, 'hour');
  if (seconds >= 60 && seconds % 60 === 0) return plural(seconds / 60, 'minute');
  return plural(seconds, 'second');
}

function makeWaiting(w) {
  return h('div', {}, h('dt', {}, named(lanes, w.lane), ' ', h('code', {}, w.lane)), h('dd', { 'data-waiting': w.lane }));
}

function setWaiting(e, w) {
  setText(e.lastElementChild, count(w.count));
  setAttr(e.lastElementChild, 'data-value', w.count);
}
