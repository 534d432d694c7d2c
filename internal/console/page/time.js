// Times as people read them: the viewer's clock, its offset in the title, and how far away beside it.
import { h, setAttr, setText } from './dom.js';

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const pad = (n) => String(n).padStart(2, '0');

let skew = 0; // milliseconds that the worker's clock is ahead of this one

/** Now, as the worker's clock has it: countdowns run to times that it wrote. */
export const now = () => Date.now() + skew;

/** Learns of the worker's clock by the Date of an answer, which counts whole seconds. A small difference is none. */
export function learnClock(date) {
  const theirs = Date.parse(date ?? '');
  if (Number.isNaN(theirs)) return;
  const ahead = theirs + 500 - Date.now();
  skew = Math.abs(ahead) > 3000 ? ahead : 0;
}

/** By how many seconds the worker's clock is ahead of this one; 0 where it does not matter. */
export const clockAhead = () => Math.round(skew / 1000);

/** A moment of an answer, or null where there is none. */
export function moment(text) {
  if (!text) return null;
  const at = new Date(text);
  return Number.isNaN(at.getTime()) || at.getUTCFullYear() < 1971 ? null : at;
}

/** The hour of the clock: 12:03:04. */
export const clock = (at) => `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;

/** Without the seconds: 12:03. */
export const hourMinute = (at) => `${pad(at.getHours())}:${pad(at.getMinutes())}`;

/** A day: 26 Nov, with the year if it is another. */
export function day(at) {
  const year = at.getFullYear() === new Date(now()).getFullYear() ? '' : ` ${at.getFullYear()}`;
  return `${at.getDate()} ${months[at.getMonth()]}${year}`;
}

/** A time in short: the clock today, with the day before it on others. */
export function short(at) {
  return at.toDateString() === new Date(now()).toDateString() ? clock(at) : `${day(at)}, ${clock(at)}`;
}

/** The offset of the viewer's zone at a time: +09:00. */
function offset(at) {
  const minutes = -at.getTimezoneOffset();
  const size = Math.abs(minutes);
  return `${minutes < 0 ? '−' : '+'}${pad(Math.floor(size / 60))}:${pad(size % 60)}`;
}

/** A time in full: 2026-11-26 12:03:04 +09:00. */
export const full = (at) => `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())} ${clock(at)} ${offset(at)}`;

/** How long something takes, in one or two units: 4.2 s, 3 min 20 s, 5 h, 2 d 3 h. */
export function duration(seconds) {
  const s = Math.abs(seconds);
  if (s < 1) return `${Math.round(s * 1000)} ms`;
  if (s < 9.95) return `${(Math.round(s * 10) / 10).toString()} s`;
  const whole = Math.round(s);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return units(whole, 60, 'min', 1, 's');
  if (whole < 86400) return units(whole, 3600, 'h', 60, 'min');
  return units(whole, 86400, 'd', 3600, 'h');
}

function units(seconds, big, bigName, small, smallName) {
  const many = Math.floor(seconds / big);
  const rest = Math.floor((seconds % big) / small);
  return rest === 0 ? `${many} ${bigName}` : `${many} ${bigName} ${rest} ${smallName}`;
}

/** How far a time is from now: "3 min ago", "in 12 s". Far ones are told in one unit, as nobody counts their seconds; exact ones are. */
export function relative(at, exact = false) {
  const seconds = (at.getTime() - now()) / 1000;
  const size = Math.abs(seconds);
  if (size < 1) return 'now';
  const whole = Math.floor(size);
  const long = whole < 60 ? `${whole} s`
    : whole < 3600 ? (exact ? duration(whole) : `${Math.floor(whole / 60)} min`)
      : whole < 2 * 86400 ? duration(Math.floor(whole / 60) * 60)
        : `${Math.floor(whole / 86400)} d`;
  return seconds < 0 ? `${long} ago` : `in ${long}`;
}

/** An element for a time; setWhen changes it. Of class "exact" it counts every second. */
export function when(at, attributes = {}) {
  const e = h('span', { class: 'when', ...attributes }, h('time'), ' ', h('span', { class: 'rel' }));
  setWhen(e, at);
  return e;
}

/** Gives an element made by when its time. */
export function setWhen(e, at) {
  const [time, rel] = e.children;
  if (!at) {
    setAttr(time, 'datetime', null);
    setAttr(time, 'title', null);
    setText(time, '');
    setText(rel, '');
    return;
  }
  setAttr(time, 'datetime', at.toISOString());
  setAttr(time, 'title', full(at));
  setText(time, short(at));
  setText(rel, relative(at, e.classList.contains('exact')));
}

/** Brings what times say of their distance up to date. It is called once a second while somebody looks. */
export function tickTimes(root) {
  for (const e of root.querySelectorAll('.when')) {
    const at = moment(e.firstElementChild.getAttribute('datetime'));
    if (!at) continue;
    setText(e.firstElementChild, short(at)); // at midnight the day comes before it
    setText(e.lastElementChild, relative(at, e.classList.contains('exact')));
  }
}

/** When the viewer's day began, in Unix seconds. */
export function midnight() {
  const d = new Date(now());
  return Math.floor(new Date(d.getFullYear(), d.getMonth(), d.getDate()).getTime() / 1000);
}
