// The view Now: how things stand, in one look.
import { h } from './dom.js';
import { verdict } from './verdict.js';
import { figures, reasonBars } from './figures.js';
import { activationsPanel } from './activations.js';
import { quotaPanel } from './quota.js';
import { partnerPanel } from './partner.js';
import { workersPanel, readinessPanel } from './workers.js';
import { recentPanel } from './recent.js';

export function nowView(root, _parameters, { title }) {
  title('Now');
  const graphs = activationsPanel();
  const panels = [
    verdict(), figures(graphs), reasonBars('waiting', 'Waiting, by reason', 'deferred', 'Nobody waits.'),
    reasonBars('failed', 'Failed, by reason', 'failed', 'Nobody has failed.'),
    graphs, quotaPanel(), partnerPanel(), readinessPanel(), workersPanel(), recentPanel(),
  ];
  const [line, numbers, waiting, failed, activations, quota, partner, readiness, workers, recent] = panels.map((p) => p.element);
  root.append(
    h('h1', { tabindex: '-1', class: 'offscreen' }, 'Now'),
    line, numbers,
    h('div', { class: 'grid now' }, h('div', { class: 'stack reasons' }, waiting, failed), activations, partner, quota, readiness, workers, recent),
  );
  return {
    told(now) {
      for (const p of panels) p.told(now);
    },
    tick(at) {
      for (const p of panels) p.tick?.(at);
    },
    stop() {
      for (const p of panels) p.stop?.();
    },
  };
}
