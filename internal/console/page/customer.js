// The view of one customer: why it is (not) active, what happens next, what to do, and what has happened.
import { ext, h, list, setAttr, setAttrs, setText, show, visible } from './dom.js';
import { Problem, askText, parse } from './api.js';
import { Refresher, problemPlace, showProblem } from './refresh.js';
import { copyButton } from './copy.js';
import { customerHash, isDomainID, viewHash } from './hash.js';
import { dnsPanel } from './dns.js';
import { timelinePanel } from './timeline.js';
import { reasonLabel, setReason, setState, stateBadge } from './words.js';
import { moment, now as workersNow, setWhen, when } from './time.js';

export function customerView(root, _parameters, { key: id, title }) {
  const named = `Customer ${visible(id)}`;
  title(named);
  setAttr(root, 'data-customer', id);
  let sequence = null; // of the ledger, when the customer was asked for
  let shown = ''; // the text of the answer that is shown
  const is = h('h1', { id: 'customer-is', tabindex: '-1' }, named);
  const domain = h('bdi', { class: 'ext' });
  const state = stateBadge('');
  const reason = reasonLabel('');
  const since = when(null);
  const about = h('p', { class: 'about' }, h('strong', {}, ext(id)), ' ', domain);
  const badges = h('p', { id: 'customer-state', class: 'about', hidden: true }, state, ' ', reason, ' ', h('span', { class: 'quiet' }, 'since '), since);
  const next = h('dd', { id: 'customer-next' });
  const [but, expected, todo] = ['customer-but', 'customer-expected', 'customer-todo'].map((name) => h('dd', { id: name }, h('bdi', { class: 'ext' })));
  const line = (label, dd) => h('div', {}, h('dt', {}, label), dd);
  const [butLine, expectedLine] = [line('But', but), line('Expected', expected)];
  const replay = h('a', { class: 'more', href: viewHash('replay', [['id', id]]) }, 'Preview its replay');
  const answer = h('dl', { class: 'answer' }, line('What happens next', next), butLine, expectedLine, line('What to do', todo));
  const link = copyButton(new URL(customerHash(id), location.href).href, 'Copy link', 'to this customer', { id: 'copy-link' });
  const problem = problemPlace();
  const dns = dnsPanel();
  const facts = h('dl', { id: 'facts', class: 'facts' });
  const factsPanel = h('section', { class: 'panel', 'aria-labelledby': 'facts-title' }, h('h2', { id: 'facts-title' }, 'Facts'), facts);
  const timeline = timelinePanel();
  const rest = h('div', { class: 'rest', hidden: true },
    h('section', { class: 'panel', 'aria-label': 'What happens next, and what to do' }, answer, replay),
    dns.element, h('div', { class: 'grid two' }, factsPanel, timeline.element));
  root.append(h('div', { class: 'head' }, h('div', {}, about, is, badges), link), problem, rest);

  const refresher = new Refresher(async (signal) => {
    let text;
    try {
      if (!isDomainID(id)) throw new Problem('A domain id is a number, such as 51200931.', 400); // .. would be another address
      text = await askText(`api/customers/${id}`, [], signal);
    } catch (e) {
      if (!shown && e.mends === false) setText(is, `There is nothing to show of ${visible(id)}.`);
      throw e;
    }
    if (text === shown) return;
    const c = parse(text);
    draw(c, text);
    shown = text;
  }, 1000, problem);

  function draw(c, text) {
    setAttr(root, 'data-found', String(c.found));
    setText(is, visible(c.is));
    setText(domain, visible(c.domain ?? ''));
    title(c.domain ? `${visible(c.domain)} (${id})` : named);
    show(badges, Boolean(c.state));
    setAttrs(badges, { 'data-state': c.state ?? '', 'data-reason': c.reason ?? '' });
    setState(state, c.state ?? '');
    setReason(reason, c.reason);
    setWhen(since, moment(c.since));
    setNext(next, c.next, moment(c.nextAt));
    for (const [e, row, said] of [[but, butLine, c.but], [expected, expectedLine, c.expected], [todo, null, c.whatToDo]]) {
      setText(e.firstElementChild, visible(said ?? ''));
      if (row) show(row, Boolean(said));
    }
    show(replay, c.state === 'failed');
    dns.set(c.dns ?? null);
    list(facts, c.facts ?? [], (f) => f.label, makeFact, setFact);
    show(factsPanel, (c.facts ?? []).length > 0);
    timeline.set(c.timeline ?? [], text);
    show(rest, true);
  }

  refresher.want();
  return {
    told(now) {
      if (now.sequence === sequence) return;
      sequence = now.sequence;
      refresher.want();
    },
    tick() {
      const e = next.querySelector('.due');
      if (e) setDue(e, moment(e.querySelector('time').getAttribute('datetime')));
    },
    stop() {
      refresher.stop();
      showProblem(problem, null);
    },
  };
}

/** What happens next, with the time in the place of {when}. */
function setNext(e, sentence, at) {
  const [before, ...after] = String(sentence ?? '').split('{when}');
  const key = `${sentence} ${at?.toISOString() ?? ''}`;
  if (e.dataset.said === key) return;
  e.dataset.said = key;
  if (after.length === 0) {
    e.replaceChildren(ext(before));
    if (at) e.append(' ', due(at));
    return;
  }
  e.replaceChildren(ext(before), at ? due(at) : 'at a time that is not known yet', ext(after.join('')));
}

function due(at) {
  const e = h('span', { class: 'due' }, h('span'), when(at, { class: 'when exact' }), h('span'));
  setDue(e, at);
  return e;
}

/** A time that has come is told as such: what is due happens in its turn, not on the second. */
function setDue(e, at) {
  const past = at.getTime() <= workersNow();
  setAttr(e, 'data-due', String(past));
  setText(e.firstElementChild, past ? 'now (due since ' : 'at ');
  setText(e.lastElementChild, past ? ')' : '');
}

function makeFact(f) {
  return h('div', {}, h('dt', {}, visible(f.label)), h('dd', {}, ext(''), ' ', when(null)));
}

function setFact(e, f) {
  const [text, at] = e.lastElementChild.children;
  setText(text, visible(f.text ?? ''));
  setWhen(at, moment(f.at));
}
