// What has happened to a customer, the newest first; each record with its event, exactly as the worker has it.
import { ext, h, list, setAttrs, setText, show, visible } from './dom.js';
import { parts, pretty } from './json.js';
import { copyButton, setCopy } from './copy.js';
import { stateBadge, states } from './words.js';
import { moment, when } from './time.js';

export function timelinePanel() {
  const records = h('ol', { id: 'timeline', class: 'story', role: 'list' });
  const none = h('p', { class: 'empty', hidden: true }, 'Nothing is kept.');
  const texts = new Map(); // sequence → the event's text
  return {
    element: h('section', { class: 'panel', 'aria-labelledby': 'timeline-title' }, h('h2', { id: 'timeline-title' }, 'Timeline'), records, none),
    /** Shows records; answer is the text that they came in. */
    set(timeline, answer) {
      const events = parts(answer, 'timeline', 'event');
      texts.clear();
      timeline.forEach((r, i) => texts.set(String(r.sequence), events[i]));
      list(records, timeline, (r) => r.sequence, (r) => makeRecord(r, texts));
      show(none, timeline.length === 0);
    },
  };
}

/** A record never changes. Its event is written out when somebody opens it, and let go of after. */
function makeRecord(r, texts) {
  const li = h('li', {}, h('p', {}, stateBadge(r.state), ' ', r.why ? ext(r.why) : null),
    h('p', { class: 'quiet' }, when(moment(r.at)), r.by ? ', by ' : null, r.by ? ext(r.by) : null));
  setAttrs(li, { 'data-record': r.sequence, 'data-state': r.state, 'data-tone': states[r.state]?.tone });
  if (!texts.get(String(r.sequence))) return li;
  const json = h('pre', { class: 'json', tabindex: '0', role: 'region', 'aria-label': `Event ${r.sequence} as JSON` });
  const copy = copyButton('', 'Copy', `event ${r.sequence}`);
  const details = h('details', {}, h('summary', {}, `Event ${visible(String(r.sequence))}`), h('div', { class: 'code' }, copy, json));
  details.addEventListener('toggle', () => {
    const text = texts.get(String(r.sequence)) ?? '';
    setText(json, details.open ? pretty(text) : '');
    setCopy(copy, details.open ? pretty(text) : '');
  });
  li.append(details);
  return li;
}
