// The page: which view is shown, what the worker says to it, and what stands around it.
import { setAttr, setText, show, visible } from './dom.js';
import { clock, clockAhead, day, duration, now as workersNow, tickTimes } from './time.js';
import { follow } from './live.js';
import { listenForCopies } from './copy.js';
import { listenForKeys } from './keys.js';
import { readHash } from './hash.js';
import { nowView } from './now.js';
import { customersView } from './customers.js';
import { customerView } from './customer.js';
import { replayView } from './replay.js';

const at = (id) => document.getElementById(id);
const root = at('view');

const views = { now: nowView, customers: customersView, customer: customerView, replay: replayView };

let shown = null; // the view: {name, key, route(parameters), told(now), tick(), stop()}
let latest = null; // what the worker said last

/** Shows the view that the address names. The same view with other parameters stays, so that focus and scroll do. */
function route() {
  const { name, key, parameters } = readHash(location.hash);
  if (shown?.name === name && shown.key === key) {
    shown.route?.(parameters);
    return;
  }
  const first = shown === null;
  shown?.stop();
  for (const a of [...root.attributes]) if (a.name.startsWith('data-')) root.removeAttribute(a.name);
  root.replaceChildren();
  setAttr(root, 'data-view', name);
  shown = { name, key, ...views[name](root, parameters, { key, title: setTitle }) };
  for (const a of document.querySelectorAll('nav [data-nav]')) {
    const of = name === 'customer' ? 'customers' : name;
    setAttr(a, 'aria-current', a.dataset.nav === of ? (name === of ? 'page' : 'true') : null);
  }
  if (latest) shown.told(latest);
  if (first) return;
  window.scrollTo(0, 0);
  root.querySelector('h1')?.focus({ preventScroll: true }); // who cannot see hears where they are
}

/** Names the page after its view. */
function setTitle(title) {
  const t = `${title} · Activation worker`;
  if (document.title !== t) document.title = t;
}

/** Hears how things stand. */
function told(now) {
  latest = now;
  setAttr(document.documentElement, 'data-ready', 'true');
  show(at('simulated'), now.simulated);
  show(at('trouble'), Boolean(now.trouble));
  setText(at('trouble'), now.trouble ? visible(now.trouble) : '');
  setText(at('served'), `Served by ${visible(now.worker)}, version ${visible(now.version)}`);
  shown?.told(now);
}

/** Says that what is shown is old; since undefined: it is not. */
function stale(since) {
  const old = since !== undefined;
  const banner = at('banner');
  show(banner, old); // before it says something: what was hidden is not read out
  if (!old) {
    setText(banner, '');
    setAttr(banner, 'data-since', null);
  } else {
    const time = since && (Date.now() - since > 20 * 3600e3 ? `${day(since)}, ${clock(since)}` : clock(since));
    setText(banner, since === null ? 'No answer from the worker yet. Trying again…'
      : `No answer from the worker since ${time}; what you see is from then. Trying again…`);
    setAttr(banner, 'data-since', since?.toISOString());
  }
  setAttr(at('live'), 'data-live', old ? 'stale' : latest ? 'fresh' : 'connecting');
  setText(at('live-text'), old ? 'no answer' : 'live');
}

const line = follow((now) => {
  if (at('live').dataset.live === 'connecting') {
    setAttr(at('live'), 'data-live', 'fresh');
    setText(at('live-text'), 'live');
  }
  told(now);
}, stale);

/** Once a second, while somebody looks: what depends on the time alone. */
function tick() {
  if (document.hidden) return;
  line.look();
  tickTimes(root);
  shown?.tick?.(workersNow());
  const ahead = clockAhead();
  setText(at('clock'), ahead === 0 ? '' : `The clock here is ${duration(ahead)} ${ahead > 0 ? 'behind' : 'ahead of'} the worker's`);
}

setInterval(tick, 1000);
document.addEventListener('visibilitychange', tick);
window.addEventListener('hashchange', route);
listenForCopies(at('said'));
listenForKeys();
document.querySelector('.skip').addEventListener('click', (e) => { // its target is no view
  e.preventDefault();
  root.focus();
});
route();
