// The view Replay: whom a replay would take, and the command that does it. The page itself changes nothing.
import { h, setAttr, setAttrs, setText, show } from './dom.js';
import { ask } from './api.js';
import { Refresher, problemPlace, showProblem } from './refresh.js';
import { viewHash } from './hash.js';
import { replayResult, whyBytes } from './replayresult.js';
import { reasons } from './words.js';

const field = (label, input, hint) => {
  const hintId = hint && `${input.id}-hint`;
  if (hint) setAttr(input, 'aria-describedby', hintId);
  return h('div', { class: 'field' }, h('label', { for: input.id }, label), input, hint ? h('p', { class: 'hint', id: hintId }, hint) : null);
};
const check = (label, input) => h('label', { class: 'check' }, input, ' ', label);

export function replayView(root, parameters, { title }) {
  title('Replay preview');
  const input = (id, more) => h('input', { id: `replay-${id}`, autocomplete: 'off', spellcheck: 'false', ...more });
  const f = {
    ids: h('textarea', { id: 'replay-ids', rows: '2', spellcheck: 'false', autocomplete: 'off' }),
    reason: h('select', { id: 'replay-reason' }, h('option', { value: '' }, 'Any'), ...Object.entries(reasons).map(([value, name]) => h('option', { value }, `${name} (${value})`))),
    code: input('code', { maxlength: '64' }), since: input('since'), until: input('until'), rate: input('rate', { placeholder: '30/m' }),
    allFailed: input('all-failed', { type: 'checkbox' }), rejected: input('rejected', { type: 'checkbox' }),
    why: input('why', { maxlength: String(whyBytes), class: 'wide', spellcheck: 'true' }),
  };
  const form = h('form', { id: 'replay-form', class: 'panel', 'aria-label': 'Whom to replay' },
    h('p', {}, 'Say whom: domain ids, or a selection of those who failed, or rejected announcements.'),
    h('div', { class: 'fields' },
      field('Domain ids', f.ids, 'Separated by spaces, commas or lines.'),
      field('Failed for', f.reason), field('Code of the partner’s', f.code, 'Such as INVALID_PARAMETER.'),
      field('Failed since', f.since, 'A time such as 2026-11-26T09:00:00+09:00, or how long ago: 24h.'), field('Failed before', f.until, 'The same: 1h.'),
      field('Pace', f.rate, 'Customers a unit of time: 30/m, 2/s, 100/h.')),
    h('div', { class: 'checks-row' }, check('Everybody who failed', f.allFailed), check('Rejected announcements', f.rejected)),
    h('p', {}, h('button', { type: 'submit', id: 'replay-preview', class: 'main' }, 'Preview')));
  const why = field('Why', f.why, 'For the audit trail. It stays in this browser, and goes into the command below.');
  const problem = problemPlace();
  setAttr(problem, 'role', 'alert');
  const result = replayResult(why, f.why);
  root.append(h('h1', { tabindex: '-1' }, 'Replay preview'),
    h('p', { class: 'lead' }, 'This page changes nothing: it shows whom ', h('code', {}, 'worker replay'), ' would take, and gives the command for it.'),
    form, problem, result.element);

  let asked = null; // the pairs whose answer is shown or awaited
  const refresher = new Refresher(async (signal) => {
    const pairs = asked;
    result.wait(true);
    try {
      const answer = await ask('api/replay', pairs, signal);
      if (pairs === asked) result.set(answer);
    } catch (e) {
      if (pairs === asked) result.clear();
      throw e;
    } finally {
      if (pairs === asked) result.wait(false);
    }
  }, 500, problem);

  function read() {
    const ids = f.ids.value.split(/[\s,;]+/).filter(Boolean);
    return [...ids.map((id) => ['id', id]), ['reason', f.reason.value], ['code', f.code.value.trim()], ['since', f.since.value.trim()],
      ['until', f.until.value.trim()], ['rate', f.rate.value.trim()],
      ['all-failed', f.allFailed.checked ? 'true' : ''], ['rejected', f.rejected.checked ? 'true' : '']];
  }

  /** Fills the form from the address, and asks if it says whom. */
  function fill(p) {
    f.ids.value = p.getAll('id').join(' ');
    for (const [e, name] of [[f.reason, 'reason'], [f.code, 'code'], [f.since, 'since'], [f.until, 'until'], [f.rate, 'rate']]) e.value = p.get(name) ?? '';
    f.allFailed.checked = p.get('all-failed') === 'true';
    f.rejected.checked = p.get('rejected') === 'true';
    const pairs = read().filter(([, v]) => v !== '');
    asked = pairs; // an answer on its way is to another question
    if (pairs.some(([name]) => name !== 'rate')) refresher.restart();
    else {
      result.clear();
      showProblem(problem, null);
    }
  }

  form.addEventListener('submit', (e) => {
    e.preventDefault();
    const hash = viewHash('replay', read());
    if (location.hash === hash) {
      asked = read().filter(([, v]) => v !== '');
      refresher.restart(); // the same again, or nobody: the worker says what is missing
    } else location.hash = hash;
  });
  fill(parameters);
  return { route: fill, told() {}, stop: () => refresher.stop() };
}
