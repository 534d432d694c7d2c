// Questions to the worker. Answers are JSON; what goes wrong is a Problem with a sentence.
import { learnClock } from './time.js';

/** Why a question has no answer. mends: asking again may help. */
export class Problem extends Error {
  constructor(text, status) {
    super(text);
    this.status = status;
    this.mends = status === 0 || status >= 500 || status === 429;
  }
}

const patience = 20000; // milliseconds; the worker itself gives up sooner. A connection that died in a laptop's sleep says nothing

/** Asks for the text of an answer. Parameters are a list of pairs; empty ones are left out. */
export async function askText(path, parameters, signal) {
  const query = new URLSearchParams(parameters.filter(([, v]) => v !== '' && v !== null && v !== undefined));
  const url = query.size === 0 ? path : `${path}?${query}`;
  let answer;
  let text;
  try {
    answer = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(patience)]), cache: 'no-store', headers: { Accept: 'application/json' } });
    learnClock(answer.headers.get('Date')); // before the rest, which may take its time
    text = await answer.text();
  } catch (e) {
    if (signal?.aborted) throw e;
    throw new Problem('The worker does not answer.', 0);
  }
  if (!answer.ok) throw new Problem(sentenceOf(text) ?? `The worker answers ${answer.status} ${answer.statusText}.`, answer.status);
  return text;
}

function sentenceOf(text) {
  try {
    const { error } = JSON.parse(text);
    return typeof error === 'string' && error !== '' ? error : null;
  } catch {
    return null;
  }
}

/** Asks for an answer. */
export async function ask(path, parameters, signal) {
  return parse(await askText(path, parameters, signal));
}

/** Understands an answer. */
export function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new Problem('The answer is no JSON; is there a proxy in between that answers for the worker?', 502);
  }
}
