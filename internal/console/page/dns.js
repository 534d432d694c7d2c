// The ownership records that a customer has to publish, and what stands in DNS instead.
import { ext, h, list, setAttr, setAttrs, setText, show, visible } from './dom.js';
import { copyButton, setCopy } from './copy.js';
import { count } from './words.js';
import { moment, setWhen, when } from './time.js';

export function dnsPanel() {
  const since = when(null);
  const nos = h('span');
  const visibleSince = h('p', { class: 'notice', 'data-tone': 'good', hidden: true }, 'Visible since ', since, nos, '.');
  const wanted = h('ol', { class: 'records', role: 'list' });
  const seen = h('ol', { class: 'records', role: 'list' });
  const seenTitle = h('h3', {}, 'What was seen instead');
  const nothing = h('p', { class: 'empty' }, 'Nothing was seen under these names.');
  const element = h('section', { id: 'dns', class: 'panel', 'aria-labelledby': 'dns-title', hidden: true },
    h('h2', { id: 'dns-title' }, 'DNS records'), visibleSince,
    h('h3', {}, 'To publish: one of these'), wanted, seenTitle, seen, nothing);
  const key = (r) => `${r.type} ${r.name} ${r.value} ${r.resolver ?? ''}`;
  return {
    element,
    set(dns) {
      show(element, dns !== null);
      if (!dns) return;
      const at = moment(dns.visibleSince);
      show(visibleSince, at !== null);
      setWhen(since, at);
      setText(nos, dns.nos > 0 ? `; the partner has said no ${dns.nos === 1 ? 'once' : `${count(dns.nos)} times`} since` : '');
      list(wanted, dns.wanted ?? [], key, makeWanted, setWanted);
      const other = (dns.seen ?? []).filter((r) => !r.matches);
      const all = other.length > 0 ? dns.seen : other;
      list(seen, all, key, makeSeen, setSeen);
      show(seenTitle, (dns.wanted ?? []).every((r) => !r.matches) || all.length > 0);
      setText(seenTitle, all.length > 0 ? 'What was seen instead' : 'What was seen');
      show(nothing, all.length === 0 && (dns.wanted ?? []).every((r) => !r.matches));
    },
  };
}

function mark() {
  return h('span', { class: 'state' }, h('span', { class: 'icon', 'aria-hidden': 'true' }), h('span'));
}

function setMark(e, good, words) {
  setAttr(e, 'data-tone', good ? 'good' : 'wait');
  setText(e.firstElementChild, good ? '✓' : '○');
  setText(e.lastElementChild, words);
}

function makeWanted(r) {
  const field = (label, text, what, button) => h('div', {}, h('dt', {}, label),
    h('dd', {}, h('code', { class: 'ext' }, visible(text)), ' ', copyButton(text, 'Copy', `the ${what} of the ${r.type} record`, { 'data-copies': button })));
  return h('li', { 'data-dns-record': 'wanted', 'data-type': r.type },
    h('p', {}, h('strong', {}, visible(r.type)), ' ', mark()),
    h('dl', { class: 'facts' }, field('Name', r.name, 'name', 'name'), field('Value', r.value, 'value', 'value'),
      field('Zone file', r.zone, 'zone file line', 'zone')));
}

function setWanted(e, r) {
  setAttr(e, 'data-matches', String(r.matches));
  setMark(e.querySelector('.state'), r.matches, r.matches ? 'visible' : 'not visible');
  const button = e.querySelector('[data-copies=zone]');
  setCopy(button, r.zone);
  setText(button.parentElement.firstElementChild, visible(r.zone));
}

function makeSeen(r) {
  return h('li', { 'data-dns-record': 'seen', 'data-type': r.type },
    h('p', {}, h('strong', {}, visible(r.type)), ' ', mark(), r.resolver ? h('span', { class: 'quiet' }, ' seen by ', ext(r.resolver)) : null),
    h('dl', { class: 'facts' }, h('div', {}, h('dt', {}, 'Name'), h('dd', {}, h('code', { class: 'ext' }, visible(r.name)))),
      h('div', {}, h('dt', {}, 'Value'), h('dd', {}, h('code', { class: 'ext' }, visible(r.value))))));
}

function setSeen(e, r) {
  setAttrs(e, { 'data-matches': String(r.matches) });
  setMark(e.querySelector('.state'), r.matches, r.matches ? 'as wanted' : 'not as wanted');
}
