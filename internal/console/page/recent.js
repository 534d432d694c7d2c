// The newest records of all customers, as they come.
import { h, list, panel, setAttrs, show } from './dom.js';
import { customerHash } from './hash.js';
import { reasonLabel, stateBadge } from './words.js';
import { moment, when } from './time.js';

const most = 40;

export function recentPanel() {
  const events = h('ol', { id: 'recent', class: 'recent', role: 'list' });
  const none = h('p', { class: 'empty' }, 'Nothing has happened yet.');
  const box = h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Newest records', hidden: true }, events);
  const element = panel('events', 'Just now', box, none);
  return {
    element,
    told(now) {
      const newest = (now.recent ?? []).slice(0, most);
      list(events, newest, (e) => e.sequence, makeEvent);
      show(box, newest.length > 0); // what has no height is no place for the focus
      show(none, newest.length === 0);
    },
  };
}

/** A record never changes. */
function makeEvent(e) {
  const li = h('li', {}, when(moment(e.at)), stateBadge(e.state), h('a', { href: customerHash(e.domainId) }, e.domainId), e.reason ? reasonLabel(e.reason) : null);
  setAttrs(li, { 'data-event': e.sequence, 'data-state': e.state, 'data-reason': e.reason || null });
  return li;
}
