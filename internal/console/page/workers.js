// The workers: is this one ready, who else is there, how far they are behind.
import { ext, h, list, panel, setAttr, setAttrs, setPart, setText, show, visible } from './dom.js';
import { count, named, plural, queues } from './words.js';
import { moment, setWhen, when } from './time.js';

/** Is this worker ready, and if not, what fails. */
export function readinessPanel() {
  const icon = h('span', { class: 'icon', 'aria-hidden': 'true' });
  const is = h('span');
  const health = h('p', { class: 'health' }, icon, ' ', is);
  const sentence = h('p', { id: 'intake' }, h('bdi', { class: 'ext' }));
  const todo = h('p', { class: 'todo', hidden: true }, h('strong', {}, 'What to do: '), h('bdi', { class: 'ext' }));
  const rejected = h('p', { id: 'rejected', class: 'notice', 'data-tone': 'wait', hidden: true },
    h('span', { class: 'icon', 'aria-hidden': 'true' }, '!'), ' ', h('span'), ' ', h('a', { href: '#/replay?rejected=true' }, 'See why'));
  const checks = h('ul', { class: 'checks', role: 'list' });
  return {
    element: panel('readiness', 'This worker', health, sentence, todo, rejected, h('h3', {}, 'Checks'), checks),
    told(now) {
      setAttr(health, 'data-tone', now.ready ? 'good' : 'bad');
      setText(icon, now.ready ? '✓' : '✕');
      setText(is, now.ready ? 'Ready.' : 'Not ready.');
      setText(sentence.firstElementChild, now.intake?.is ? visible(now.intake.is) : 'Whether announcements are taken is not known yet.');
      show(todo, Boolean(now.intake?.whatToDo));
      setText(todo.lastElementChild, visible(now.intake?.whatToDo ?? ''));
      show(rejected, now.rejected > 0);
      setAttr(rejected, 'data-value', now.rejected ?? '');
      setText(rejected.children[1], `${plural(now.rejected, 'announcement')} kept that nobody can act on.`);
      const sorted = [...(now.checks ?? [])].sort((a, b) => Number(a.ok) - Number(b.ok)); // what fails comes first
      list(checks, sorted, (c) => c.name, makeCheck, setCheck);
    },
  };
}

function makeCheck(c) {
  return h('li', { 'data-check': c.name }, h('p', {}, h('span', { class: 'icon', 'aria-hidden': 'true' }), ' ',
    h('strong', {}, c.name), ' ', h('span')), h('p', { class: 'quiet' }, h('bdi', { class: 'ext' })));
}

function setCheck(e, c) {
  setAttrs(e, { 'data-ok': String(c.ok), 'data-tone': c.ok ? 'good' : 'bad' });
  const [icon, , is] = e.firstElementChild.children;
  setText(icon, c.ok ? '✓' : '✕');
  setText(is, c.ok ? 'is OK' : 'fails');
  setText(e.lastElementChild.firstElementChild, visible(c.detail ?? ''));
}

/** All workers on the ledger, and what they have before them. */
export function workersPanel() {
  const replicas = h('ul', { id: 'replicas', class: 'replicas', role: 'list' });
  const lag = h('dd', { id: 'lag' });
  const consumers = h('tbody');
  const lanes = h('tbody');
  const element = panel('workers', 'Workers',
    replicas,
    h('h3', {}, 'Behind'),
    h('table', { class: 'plain' }, h('caption', { class: 'offscreen' }, 'Consumers of all workers'),
      head('Consumer', 'Unread', 'In hand'), consumers),
    h('dl', { class: 'lanes' }, h('div', {}, h('dt', {}, 'Ledger, not counted here yet'), lag)),
    h('h3', {}, 'Lanes of this worker'),
    h('table', { class: 'plain' }, h('caption', { class: 'offscreen' }, 'Lanes of this worker'), head('Lane', 'Slots busy', 'Takes work'), lanes));
  return {
    element,
    told(now) {
      list(replicas, now.replicas ?? [], (r) => r.worker, makeReplica, setReplica);
      list(consumers, now.consumers ?? [], (c) => c.name, makeConsumer, setConsumer);
      list(lanes, now.lanes ?? [], (l) => l.name, makeLane, setLane);
      setText(lag, plural(now.lag, 'message'));
      setAttr(lag, 'data-value', now.lag);
    },
  };
}

const head = (...titles) => h('thead', {}, h('tr', {}, ...titles.map((t, i) => h('th', { scope: 'col', class: i > 0 ? 'n' : null }, t))));

function makeReplica(r) {
  return h('li', { 'data-replica': r.worker }, h('p', {}, ext(r.worker), ' ', h('span', { class: 'badge plainly' }, 'serves this page')),
    h('p', { class: 'quiet' }, h('span'), when(null)));
}

function setReplica(e, r) {
  setAttr(e, 'data-self', String(r.self));
  show(e.querySelector('.badge'), r.self);
  const since = moment(r.since);
  const [version, at] = e.lastElementChild.children;
  setText(version, [r.version ? `version ${visible(r.version)}` : 'version not known', since ? ', since ' : ''].join(''));
  setWhen(at, since);
}

function makeConsumer(c) {
  return h('tr', { 'data-consumer': c.name }, h('th', { scope: 'row' }, named(queues, c.name), ' ', h('code', {}, c.name)), h('td', { class: 'n' }), h('td', { class: 'n' }));
}

function setConsumer(e, c) {
  setAttrs(e, { 'data-pending': c.pending, 'data-in-hand': c.inHand });
  setText(e.children[1], count(c.pending));
  setText(e.children[2], count(c.inHand));
}

function makeLane(l) {
  return h('tr', { 'data-lane': l.name }, h('th', { scope: 'row' }, named(queues, l.name), ' ', h('code', {}, l.name)),
    h('td', { class: 'n' }, h('span'), ' ', h('span', { class: 'bar', 'aria-hidden': 'true' })), h('td', { class: 'n' }));
}

function setLane(e, l) {
  setAttrs(e, { 'data-busy': l.busy, 'data-slots': l.slots });
  const [n, bar] = e.children[1].children;
  setText(n, `${count(l.busy)} of ${count(l.slots)}`);
  setPart(bar, l.slots > 0 ? l.busy / l.slots : 0);
  setText(e.children[2], l.pulling ? 'yes' : 'no');
}
