// Keeps something up to date without asking too often: one question at a time, a gap between them, none while nobody looks.
import { h, setAttr, setText, show, visible } from './dom.js';

/**
 * A Refresher asks when it is wanted. load(signal) asks and shows; problem, if given, is where it says what goes wrong.
 */
export class Refresher {
  #timer = 0;
  #abort = null; // of the question on its way
  #wanted = false;
  #last = -Infinity; // when the last question began
  #gone = false;

  constructor(load, gap, problem) {
    this.load = load;
    this.gap = gap;
    this.problem = problem;
    this.onShow = () => this.#wanted && this.#plan();
    document.addEventListener('visibilitychange', this.onShow);
  }

  /** Asks soon: at once, or when the gap since the last question is over. */
  want() {
    this.#wanted = true;
    if (!this.#abort) this.#plan();
  }

  /** Asks for something else: what is on its way is of no use any more. */
  restart() {
    this.#abort?.abort();
    this.#abort = null;
    this.#last = -Infinity;
    this.want();
  }

  /** Is an answer being waited for? */
  get busy() {
    return this.#abort !== null || this.#wanted;
  }

  /** Asks no more. */
  stop() {
    this.#gone = true;
    clearTimeout(this.#timer);
    this.#abort?.abort();
    document.removeEventListener('visibilitychange', this.onShow);
  }

  #plan() {
    clearTimeout(this.#timer);
    if (this.#gone || document.hidden) return; // it is asked when somebody looks again
    const left = this.#last + this.gap - performance.now();
    if (left <= 0) this.#ask();
    else this.#timer = setTimeout(() => this.#ask(), left);
  }

  async #ask() {
    if (document.hidden) return;
    this.#wanted = false;
    this.#last = performance.now();
    const abort = new AbortController();
    this.#abort = abort;
    try {
      await this.load(abort.signal);
      if (abort.signal.aborted) return;
      if (this.problem) showProblem(this.problem, null);
    } catch (e) {
      if (abort.signal.aborted) return;
      if (this.problem) showProblem(this.problem, e);
      if (e.mends) {
        this.#wanted = true;
        this.#last = performance.now() + Math.max(0, 2000 - this.gap); // two seconds from now at the soonest
      } else if (e.mends === undefined) console.error(e); // a fault of this page
    } finally {
      if (this.#abort === abort) this.#abort = null;
    }
    if (this.#wanted && !this.#abort) this.#plan();
  }
}

/** A place where a view says what could not be read. */
export const problemPlace = () => h('p', { class: 'problem', role: 'status', hidden: true });

/** Says what could not be read, or that all is well. */
export function showProblem(place, error) {
  show(place, error !== null);
  setAttr(place, 'data-problem', error === null ? null : error.status ?? 'page');
  if (error === null) return setText(place, '');
  const text = error.status === undefined ? 'This part of the page has failed. Loading it again may help.' : visible(error.message);
  setText(place, error.mends ? `${text.replace(/[^.!?…]$/, '$&.')} Trying again…` : text);
}
