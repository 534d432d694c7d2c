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
  const line = verdict();
  const numbers = figures(graphs);
  // What belongs together stands in one stack; the style sheet says how many stand side by side.
  const stacks = {
    reasons: [reasonBars('waiting', 'Waiting, by reason', 'deferred', 'Nobody waits.'), reasonBars('failed', 'Failed, by reason', 'failed', 'Nobody has failed.')],
    flow: [graphs, recentPanel()],
    partner: [partnerPanel(), quotaPanel()],
    workers: [readinessPanel(), workersPanel()],
  };
  const panels = [line, numbers, ...Object.values(stacks).flat()];
  root.append(
    h('h1', { tabindex: '-1', class: 'offscreen' }, 'Now'), line.element, numbers.element,
    h('div', { class: 'grid now' }, ...Object.entries(stacks).map(([name, of]) => h('div', { class: `stack ${name}` }, ...of.map((p) => p.element)))),
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
