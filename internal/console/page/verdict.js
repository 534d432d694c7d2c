// "Is it us, or the partner?": the answer in one line, above everything.
import { h, setAttr, setText, show } from './dom.js';
import { named, pauses } from './words.js';
import { now as workersNow } from './time.js';

function part(name) {
  const icon = h('span', { class: 'icon', 'aria-hidden': 'true' });
  const text = h('span');
  const element = h('span', { class: 'part', 'data-verdict': name }, icon, ' ', text);
  return {
    element,
    set(good, words) {
      setAttr(element, 'data-tone', good ? 'good' : 'bad');
      setText(icon, good ? '✓' : '✕');
      setText(text, words);
    },
  };
}

/** The line. It has no times in it, so that it is read out only when it changes. */
export function verdict() {
  const [worker, partner, quota] = ['worker', 'partner', 'quota'].map(part);
  return {
    element: h('p', { class: 'verdict', role: 'status' }, worker.element, partner.element, quota.element),
    told(now) {
      const failing = (now.checks ?? []).filter((c) => !c.ok).map((c) => c.name);
      worker.set(now.ready, now.ready ? 'The worker is ready.' : `The worker is not ready${failing.length ? `: ${failing.join(', ')}` : ''}.`);
      const { ok, pause } = now.partner;
      partner.set(ok && !pause, pause ? `No work is taken: ${named(pauses, pause.reason).replace(/^./, (c) => c.toLowerCase())}.`
        : ok ? 'The partner works.' : 'The partner may not work.');
      const until = Date.parse(now.quota?.pausedUntil ?? '');
      const waits = until > workersNow();
      show(quota.element, waits);
      quota.set(!waits, waits ? 'The partner asks for a break.' : '');
    },
  };
}
