// What a replay would do, as the worker has answered, and the command.
import { ext, h, list, setAttr, setAttrs, setText, show, visible } from './dom.js';
import { copyButton, setCopy } from './copy.js';
import { makeRow, setRow, tableHead } from './rows.js';
import { replayCommand } from './shell.js';
import { count, plural, reasonName } from './words.js';

/** How long the text of why may be: as many bytes as the worker takes. */
export const whyBytes = 500;

export function replayResult(whyField, why) {
  const moves = h('span', { 'data-replay': 'moves' });
  const head = h('p', { class: 'moves' }, moves, ' ', h('span'));
  const takes = h('p', { class: 'ext' });
  const partly = h('p', { class: 'notice', 'data-tone': 'wait' }, h('span', { class: 'icon', 'aria-hidden': 'true' }, '!'),
    ' Not everybody was looked at: it took too long. The numbers are at least so high; the command looks at everybody.');
  const [reasons, left] = [h('ul', { class: 'tally', role: 'list' }), h('ul', { class: 'tally', role: 'list' })];
  const unread = h('ul', { id: 'replay-unread' });
  const body = h('tbody', { role: 'rowgroup' });
  const table = h('table', { id: 'replay-rows', class: 'cards', role: 'table' }, h('caption'), tableHead('What becomes of it'), body);
  const part = (title, e) => h('div', {}, h('h3', {}, title), e);
  const parts = { reasons: part('Failed for', reasons), left: part('Left as they are', left), unread: part('Cannot be acted on still', unread) };
  const command = h('code', { id: 'replay-command', class: 'command' });
  const copy = copyButton('', 'Copy', 'the command', { id: 'replay-copy' });
  const missing = h('p', { class: 'hint' });
  const order = h('section', { class: 'panel', 'aria-labelledby': 'replay-order' }, h('h2', { id: 'replay-order' }, 'The command'),
    whyField, h('div', { class: 'code' }, copy, h('pre', { tabindex: '0', role: 'region', 'aria-label': 'Command' }, command)), missing);
  const people = h('section', { class: 'panel', 'aria-labelledby': 'replay-people' }, h('h2', { id: 'replay-people' }, 'One by one'), table);
  const element = h('div', { id: 'replay-result', hidden: true },
    h('section', { class: 'panel', 'aria-labelledby': 'replay-whom' }, h('h2', { id: 'replay-whom' }, 'Whom it would take'),
      h('div', { role: 'status' }, head, takes, partly), h('div', { class: 'grid tallies' }, ...Object.values(parts))),
    order, people);
  let words = [];

  function write() {
    const text = why.value.trim();
    const bytes = new TextEncoder().encode(text).length;
    const line = replayCommand(words, text);
    setText(command, line);
    setCopy(copy, line);
    copy.disabled = text === '' || bytes > whyBytes;
    setText(missing, text === '' ? 'Say why first: the worker replays nobody without it.' : bytes > whyBytes ? `The text of why is too long: ${whyBytes} bytes at most.` : 'Paste it where worker reaches the same NATS. It acts at once; with --dry-run it shows all this once more.');
  }
  why.addEventListener('input', write);

  return {
    element,
    wait: (waiting) => setAttr(element, 'aria-busy', waiting ? 'true' : null),
    clear: () => show(element, false),
    set(r) {
      setAttr(element, 'data-complete', String(r.complete));
      setText(moves, count(r.moves));
      setAttr(moves, 'data-value', r.moves);
      setText(head.lastElementChild, r.moves === 1 ? 'customer would be replayed.' : r.moves === 0 ? 'customers: nothing to replay.' : 'customers would be replayed.');
      setText(takes, visible(r.takes ?? ''));
      show(partly, !r.complete);
      tally(reasons, r.reasons ?? [], (x) => x.reason, 'data-replay-reason', (x) => inWords(x.reason));
      tally(left, r.left ?? [], (x) => x.why, 'data-left', (x) => x.why);
      list(unread, r.unread ?? [], (x) => x, (x) => h('li', {}, ext(x)));
      for (const [name, e] of Object.entries(parts)) show(e, (r[name] ?? []).length > 0);
      const rows = r.rows ?? [];
      list(body, rows, (x) => x.domainId, makeReplayRow, setReplayRow);
      const all = r.moves + (r.left ?? []).reduce((n, l) => n + l.count, 0);
      setText(table.caption, rows.length < all ? `The first ${count(rows.length)} of ${plural(all, 'customer')}` : plural(rows.length, 'customer'));
      show(people, rows.length > 0);
      words = r.command ?? [];
      show(order, words.length > 0 && r.moves > 0);
      write();
      show(element, true);
    },
  };
}

/** A reason in words, and its code. */
const inWords = (reason) => {
  const [code] = reason.split(' '); // what follows it is the partner's code
  return reasonName(code) === code ? reason : `${reasonName(code)} (${reason})`;
};

function tally(ul, items, keyOf, attribute, nameOf) {
  list(ul, items, keyOf, (x) => h('li', { [attribute]: keyOf(x) }, h('span', { class: 'n' }), ' ', ext(nameOf(x))), (e, x) => {
    setText(e.firstElementChild, count(x.count));
    setAttr(e, 'data-value', x.count);
  });
}

function makeReplayRow(r) {
  const row = makeRow(r);
  row.append(h('td', { role: 'cell', 'data-title': 'What becomes of it' }, ext('')));
  return row;
}

function setReplayRow(row, r) {
  setRow(row, r);
  setText(row.lastElementChild.firstElementChild, visible(String(r.does ?? '').replaceAll('_', ' ')));
}
