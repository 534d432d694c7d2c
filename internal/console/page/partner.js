// Whether the partner works, and the story of what stopped the workers.
import { ext, h, list, panel, setAttr, setText, show, visible } from './dom.js';
import { named, pauses } from './words.js';
import { duration, moment, setWhen, when } from './time.js';

export function partnerPanel() {
  const icon = h('span', { class: 'icon', 'aria-hidden': 'true' });
  const is = h('span');
  const health = h('p', { class: 'health' }, icon, ' ', is);
  const reason = h('span');
  const code = h('code');
  const since = when(null);
  const detail = h('bdi', { class: 'ext' });
  const todo = h('bdi', { class: 'ext' });
  const todoLine = h('div', {}, h('dt', {}, 'What to do'), h('dd', {}, todo));
  const sinceLine = h('div', {}, h('dt', {}, 'Since'), h('dd', {}, since));
  const detailLine = h('div', {}, h('dt', {}, 'What happened'), h('dd', {}, detail));
  const pause = h('dl', { id: 'partner-pause', class: 'facts', hidden: true },
    h('div', {}, h('dt', {}, 'Reason'), h('dd', {}, reason, ' ', code)), detailLine, sinceLine, todoLine);
  const story = h('ol', { id: 'partner-story', class: 'story', role: 'list' });
  const chapters = h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'What stopped the workers lately', hidden: true }, story);
  const quiet = h('p', { class: 'empty' }, 'Nothing has stopped the workers lately.');
  const element = panel('partner', 'Partner', health, pause, h('h3', {}, 'What stopped the workers lately'), chapters, quiet);
  return {
    element,
    told({ partner }) {
      const p = partner.pause;
      const state = p ? 'paused' : partner.ok ? 'ok' : 'unknown';
      setAttr(element, 'data-partner', state);
      setAttr(health, 'data-tone', { ok: 'good', paused: 'bad', unknown: 'wait' }[state]);
      setText(icon, { ok: '✓', paused: '‖', unknown: '?' }[state]);
      setText(is, { ok: 'The partner works.', paused: 'This worker takes no work.', unknown: 'Not known yet, or not well.' }[state]);
      show(pause, Boolean(p));
      if (p) {
        setText(reason, named(pauses, p.reason));
        setText(code, p.reason);
        setText(detail, visible(p.detail ?? ''));
        show(detailLine, Boolean(p.detail));
        const from = moment(p.since);
        setWhen(since, from);
        show(sinceLine, from !== null);
        setText(todo, visible(p.whatToDo ?? ''));
        show(todoLine, Boolean(p.whatToDo));
      }
      const told = (partner.story ?? []).slice(0, 30);
      list(story, told, (s) => `${s.at} ${s.worker} ${s.resumed}`, chapter);
      show(chapters, told.length > 0); // what has no height is no place for the focus
      show(quiet, told.length === 0);
    },
  };
}

/** A pause in the story, or its end. It never changes. */
function chapter(s) {
  const at = moment(s.at);
  const since = moment(s.since);
  const lasted = s.resumed && at && since ? ` after ${duration(Math.max(0, at - since) / 1000)}` : '';
  const head = h('p', {},
    h('span', { class: 'icon', 'aria-hidden': 'true' }, s.resumed ? '▸' : '‖'), ' ',
    h('strong', {}, s.resumed ? `Works again${lasted}` : named(pauses, s.reason)), ' ', s.resumed ? null : h('code', {}, s.reason));
  const body = s.detail ? h('p', { class: 'quiet' }, ext(s.detail)) : null;
  return h('li', { 'data-tone': s.resumed ? 'good' : 'bad', 'data-resumed': String(Boolean(s.resumed)) },
    head, body, h('p', { class: 'quiet' }, when(at), ', ', ext(s.worker)));
}
