// JSON as text. JSON.parse would round numbers above 2^53 and drop what stands twice, and a record is to be shown as it is; so
// this goes over the words of the text, and never understands a number.
import { visible } from './dom.js';

const words = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]|[^\s{}[\],:"]+/gs;

const tokens = (text) => text.match(words) ?? [];

/** Writes a JSON text over several lines, each of its words unchanged; what cannot be seen in one is written as its escape. */
export function pretty(text) {
  const out = [];
  let depth = 0;
  let before = '';
  const line = () => `\n${'  '.repeat(depth)}`;
  for (const t of tokens(text)) {
    if (t === '}' || t === ']') {
      depth--;
      if (before !== '{' && before !== '[') out.push(line());
    } else if (before === '{' || before === '[') out.push(line());
    out.push(visible(t));
    if (t === '{' || t === '[') depth++;
    if (t === ',') out.push(line());
    if (t === ':') out.push(' ');
    before = t;
  }
  return out.join('');
}

/**
 * The texts of one member of the objects in a list: parts(text, 'timeline', 'event') gives for each item of the list
 * "timeline" of the outermost object the JSON text of its "event", or null where it has none.
 */
export function parts(text, listName, member) {
  const found = [];
  const all = tokens(text);
  const path = []; // for each open bracket: {open, key} where we are
  let from = -1; // where the member's value begins
  let depth = 0; // and how deep
  const inItem = () => path.length === 3 && path[0].key === listName && path[1].open === '[' && path[2].open === '{';
  for (let i = 0; i < all.length; i++) {
    const t = all[i];
    const top = path.at(-1);
    if (t === '{' || t === '[') {
      if (path.length === 2 && t === '{' && path[0].key === listName && top.open === '[') found.push(null);
      path.push({ open: t, key: null, wants: t === '{' });
    } else if (t === '}' || t === ']') {
      if (from >= 0 && path.length === depth) from = close(from, i);
      path.pop();
    } else if (t === ',') {
      if (from >= 0 && path.length === depth) from = close(from, i);
      top.wants = top.open === '{';
    } else if (top?.wants && t.startsWith('"')) {
      top.key = unquote(t);
      top.wants = false;
    } else if (t === ':' && inItem() && top.key === member) {
      from = i + 1;
      depth = path.length;
    }
  }
  function close(start, end) {
    found[found.length - 1] = all.slice(start, end).join('');
    return -1;
  }
  return found;
}

function unquote(word) {
  try {
    return JSON.parse(word);
  } catch {
    return word;
  }
}
