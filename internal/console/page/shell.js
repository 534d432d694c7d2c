// A command as a shell takes it.

/** Quotes a word so that a POSIX shell takes it as it is: nothing has a meaning between single quotes but the next of them. */
export function quote(word) {
  if (/^[A-Za-z0-9_@%+=:,./-]+$/.test(word) && !/^=|^[A-Za-z_][A-Za-z0-9_]*=/.test(word)) return word;
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** The command of a replay with its reason, as one line to paste. */
export function replayCommand(words, why) {
  const all = [...words];
  // Before all else that follows: behind a "--" it would be taken for a domain id.
  if (why !== '') all.splice(all[1] === 'replay' ? 2 : all.length, 0, '--why', why);
  return all.map(quote).join(' ');
}
