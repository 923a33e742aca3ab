// The operators' page: tasks, lag, what holds watermarks back, restore, dead
// letters and the topology, asked for every two seconds while it is seen.

import { clock, full, short, since, stamp } from './format.js';
import { draw, modelOf, told } from './graph.js';
import { element } from './menu.js';
import { themeButton } from './theme.js';

const every = 2000; // ms

themeButton(document.getElementById('theme'));

class Ops {
  constructor() {
    this.cards = new Map(); // pipeline → Pipeline
    this.failed = 0;
    this.at = 0;
    document.addEventListener('visibilitychange', () => { if (!document.hidden) this.ask(); });
    setInterval(() => this.tell(), 1000);
    this.ask();
    // On an address for operators alone there are no dashboards to lead to.
    fetch('/v1/dashboards', { method: 'HEAD' }).then((a) => document.body.classList.toggle('alone', !a.ok), () => {});
  }

  async ask() {
    clearTimeout(this.timer);
    if (document.hidden) return;
    const answer = await fetch('/v1/ops', { cache: 'no-store' }).catch(() => null);
    let wait = every;
    if (answer?.ok) {
      const ops = await answer.json().catch(() => null);
      if (ops) {
        this.failed = 0;
        this.at = Date.now();
        this.show(ops);
      }
    } else {
      this.failed++;
      wait = Math.random() * Math.min(30000, 1000 * 2 ** Math.min(this.failed, 5)) + 500;
      if (!this.cards.size) this.say(answer);
    }
    this.tell();
    this.timer = setTimeout(() => this.ask(), wait);
  }

  say(answer) {
    const el = document.getElementById('message');
    const next = encodeURIComponent(location.pathname);
    el.replaceChildren(...(answer?.status === 401 ? [element('span', { text: 'Sign in to see this page.' }), element('a', { class: 'button', href: '/auth/login?next=' + next, text: 'Sign in' })]
      : [element('span', { text: answer?.status === 403 ? 'You may not see this page.' : answer?.status === 404 ? 'This server has no operators’ page.' : 'The server cannot be reached; trying again.' })]));
    el.hidden = false;
  }

  tell() {
    const pill = document.getElementById('state');
    const state = !navigator.onLine ? 'offline' : this.failed ? 'reconnecting' : this.at ? 'live' : 'connecting';
    const text = { live: '● live', offline: '✕ offline', reconnecting: '◌ reconnecting', connecting: '◌ connecting' }[state];
    if (pill.textContent !== text) pill.textContent = text;
    pill.className = 'pill ' + state;
    document.getElementById('asof').textContent = this.at ? clock(this.at) : '–';
    document.body.classList.toggle('unsure', this.at > 0 && state !== 'live');
  }

  show(ops) {
    document.getElementById('message').hidden = true;
    document.getElementById('node').textContent = ops.node ?? '–';
    const list = ops.pipelines ?? [];
    for (const [name, card] of this.cards) {
      if (list.some((p) => p.pipeline === name)) continue;
      card.el.remove();
      this.cards.delete(name);
    }
    for (const p of list) {
      let card = this.cards.get(p.pipeline);
      if (!card) {
        this.cards.set(p.pipeline, card = new Pipeline(p));
        document.getElementById('content').append(card.el);
      }
      card.show(p, ops.nodes ?? []);
    }
    if (!list.length) {
      const el = document.getElementById('message');
      el.textContent = 'No pipeline runs here.';
      el.hidden = false;
    }
  }
}

// Pipeline is one pipeline's part of the page.
class Pipeline {
  constructor(p) {
    this.badge = element('span', { class: 'pill' });
    this.facts = element('dl', { class: 'tiles' });
    this.restore = element('div', { class: 'restore', hidden: true });
    this.tasks = element('tbody');
    this.fleet = element('ul', { class: 'fleet' });
    this.letters = element('div', { class: 'letters' });
    this.figure = element('figure', { class: 'topology' });
    this.el = element('section', { class: 'card pipeline', 'aria-label': p.pipeline },
      element('header', {}, element('h2', { text: p.pipeline }), this.badge, element('span', { class: 'note' }), element('a', { href: '/d/' + encodeURIComponent(p.pipeline), text: 'Dashboard' })),
      this.facts, this.restore,
      element('h3', { text: 'Nodes' }), this.fleet,
      element('h3', { text: 'Tasks' }),
      element('div', { class: 'rows', tabindex: '0', role: 'region', 'aria-label': 'Tasks of ' + p.pipeline },
        element('table', {}, element('thead', {}, element('tr', {}, ...['Task', 'State', 'Complete to', 'Lag', 'Rows behind', 'State size', 'Held back by', 'Node'].map((t, i) => element('th', { scope: 'col', text: t, class: i > 2 && i < 6 ? 'num' : null })))), this.tasks)),
      element('h3', { text: 'Dead letters' }), this.letters,
      element('h3', { text: 'Topology' }), this.figure);
  }

  show(p, nodes) {
    const tasks = p.tasks ?? [];
    const running = tasks.filter((t) => t.state === 'running').length;
    const healthy = running === tasks.length && tasks.length > 0;
    this.badge.className = 'pill ' + (healthy ? 'live' : 'stale');
    text(this.badge, healthy ? '● running' : tasks.length ? `▲ ${running} of ${tasks.length} tasks run` : '▲ no tasks here');
    text(this.el.querySelector('.note'), `generation ${p.generation ?? '–'} · ${String(p.guarantee ?? '').replaceAll('_', ' ')}`);
    const marks = tasks.map((t) => t.watermark).filter((w) => w != null);
    const behind = tasks.reduce((n, t) => n + (t.lag_records ?? 0), 0);
    const lag = Math.max(0, ...tasks.map((t) => t.lag_ms ?? 0));
    const low = tasks.filter((t) => t.watermark != null).sort((a, b) => a.watermark - b.watermark)[0];
    tiles(this.facts, [
      ['complete to', marks.length ? clock(Math.min(...marks)) : '–', marks.length ? stamp(Math.min(...marks)) : ''],
      ['lag', tasks.length ? since(lag) : '–', full(Math.round(lag)) + ' ms', lag > 60000],
      ['rows behind', short(behind), full(behind)],
      ['held back by', low?.holding || '–', low ? 'task ' + low.task : ''],
      ['dead letters', p.dead_letters ? short(p.dead_letters.count) : 'none kept', p.dead_letters?.topic ?? '', p.dead_letters?.count > 0],
    ]);
    this.restoring(tasks);
    this.nodes(tasks, nodes);
    this.table(tasks);
    this.dead(p.dead_letters);
    const key = JSON.stringify([p.graph, p.topology]);
    if (key !== this.drawn) {
      this.drawn = key;
      this.topology(p);
    }
  }

  restoring(tasks) {
    const some = tasks.filter((t) => t.restore && t.restore.total > 0 && t.restore.done < t.restore.total);
    this.restore.hidden = !some.length;
    if (!some.length) return;
    const [done, total] = ['done', 'total'].map((what) => some.reduce((n, t) => n + t.restore[what], 0));
    const words = `Restoring state of ${some.length} ${some.length === 1 ? 'task' : 'tasks'}: ${full(done)} of ${full(total)} records, ${Math.floor(done / total * 100)} %`;
    this.restore.replaceChildren(element('span', { text: words }), element('progress', { max: String(total), value: String(done), 'aria-label': 'Restore' }));
  }

  // nodes: who runs what, who only serves, and who is gone.
  nodes(tasks, fleet) {
    const by = Map.groupBy ? Map.groupBy(tasks, (t) => t.node || '–') : tasks.reduce((m, t) => m.set(t.node || '–', [...m.get(t.node || '–') ?? [], t]), new Map());
    const items = [...by].sort((a, b) => a[0] < b[0] ? -1 : 1).map(([node, list]) => {
      const of = fleet.find((n) => n.node === node);
      if (of?.gone) return { node, gone: true, text: `gone, silent for ${since(of.age_ms)}` };
      const running = list.filter((t) => t.state === 'running').length;
      const bytes = list.reduce((n, t) => n + (t.state_bytes ?? 0), 0);
      return { node, text: `${list.length} ${list.length === 1 ? 'task' : 'tasks'}` + (running < list.length ? `, ${running} running` : '') + (bytes ? ` · ${full(bytes, 'bytes')} of state` : '') };
    });
    for (const n of fleet) if (!by.has(n.node) && (n.role === 'serve' || n.gone)) items.push({ node: n.node, gone: n.gone, text: n.gone ? `gone, silent for ${since(n.age_ms)}` : 'serves' });
    const key = JSON.stringify(items);
    if (key === this.nodesKey) return;
    this.nodesKey = key;
    this.fleet.replaceChildren(...items.map((i) => element('li', { class: i.gone ? 'gone' : null }, element('b', { text: i.node }), element('span', { text: i.text }))));
    if (!items.length) this.fleet.append(element('li', {}, element('span', { text: 'No task of this pipeline runs.' })));
  }

  table(tasks) {
    const behind = laggards(tasks);
    this.tasks.replaceChildren(...tasks.map((t) => {
      const r = t.restore;
      const state = t.state === 'restoring' && r?.total ? `restoring ${Math.floor(r.done / r.total * 100)} %` : t.state ?? '–';
      return element('tr', { class: behind.has(t.task) ? 'lowest' : null },
        element('td', { text: t.task }), element('td', { class: t.state === 'running' ? 'good' : 'warn', text: (t.state === 'running' ? '● ' : '▲ ') + state }),
        element('td', { class: 'when', text: t.watermark == null ? '–' : clock(t.watermark), title: t.watermark == null ? null : stamp(t.watermark) }),
        element('td', { class: 'num', text: t.lag_ms == null ? '–' : t.idle && !t.lag_records ? 'idle' : since(t.lag_ms) }), element('td', { class: 'num', text: t.lag_records == null ? '–' : full(t.lag_records) }),
        element('td', { class: 'num', text: t.state_bytes == null ? '–' : full(t.state_bytes, 'bytes') }),
        element('td', { text: t.holding || '–' }), element('td', { text: t.node || '–' }));
    }));
    if (!tasks.length) this.tasks.append(element('tr', {}, element('td', { colspan: '8', text: 'No task of this pipeline runs.' })));
  }

  dead(d) {
    const key = JSON.stringify(d);
    if (key === this.letterKey) return;
    this.letterKey = key;
    if (!d) return this.letters.replaceChildren(element('p', { class: 'note', text: 'This pipeline keeps none: give errors.dead_letter a topic.' }));
    const recent = d.recent ?? [];
    this.letters.replaceChildren(
      element('p', { class: 'note', text: `${full(d.count ?? recent.length)} in topic ${d.topic}` + (recent.length ? '; the newest:' : '.') }),
      recent.length > 1 ? element('ul', { class: 'reasons', 'aria-label': 'Of the newest, by stage' }, ...[...recent.reduce((m, r) => m.set(r.stage ?? '–', (m.get(r.stage ?? '–') ?? 0) + 1), new Map())].sort((a, b) => b[1] - a[1])
        .map(([stage, n]) => element('li', { text: stage + ' ' }, element('b', { text: String(n) })))) : '',
      recent.length ? element('div', { class: 'rows', tabindex: '0', role: 'region', 'aria-label': 'Dead letters' }, element('table', {},
        element('thead', {}, element('tr', {}, ...['At', 'Stage', 'Reason', 'From', 'Key'].map((t) => element('th', { scope: 'col', text: t })))),
        element('tbody', {}, ...recent.map((r) => element('tr', {},
          element('td', { class: 'when', text: r.at == null ? '–' : stamp(typeof r.at === 'string' ? Date.parse(r.at) : r.at) }), element('td', { text: r.stage ?? '–' }), element('td', { class: 'reason', text: r.reason ?? '–', title: r.reason ?? '' }),
          element('td', { text: !r.topic ? '–' : `${r.topic}/${r.partition}@${r.offset}` }), element('td', { text: r.key ?? '–', title: r.key ?? '' })))))) : '');
  }

  topology(p) {
    const model = modelOf(p.graph, p.topology ?? '');
    if (!model.nodes.length) return this.figure.replaceChildren(element('p', { class: 'note', text: 'Not told by this server.' }));
    const list = element('ul', {}, ...told(model).map((t) => element('li', { text: t })));
    const scroll = element('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Topology of ' + p.pipeline });
    scroll.append(draw(model, p.pipeline));
    const groups = element('p', { class: 'groups' }, ...(model.groups.length > 1 ? model.groups.map((g, i) => element('span', { class: 'g' + i % 6 }, element('i'), document.createTextNode(g.label + (/ (\d+)$/.test(g.label) ? `, tasks ${/\d+$/.exec(g.label)[0]}/…` : '')))) : []));
    this.figure.replaceChildren(scroll, groups, element('details', {}, element('summary', { text: 'As a list' }), list));
  }
}

// laggards are the tasks that hold the others back: a few, seconds behind.
function laggards(tasks) {
  const known = tasks.filter((t) => t.watermark != null).sort((a, b) => a.watermark - b.watermark);
  if (known.length < 3) return new Set();
  const median = known[known.length >> 1].watermark;
  return new Set(known.filter((t) => median - t.watermark > 5000).map((t) => t.task));
}

// tiles fills in facts without making the page anew, so that a selection stays.
function tiles(dl, facts) {
  if (dl.childElementCount !== facts.length) dl.replaceChildren(...facts.map(([name]) => element('div', {}, element('dt', { text: name }), element('dd'))));
  facts.forEach(([, value, title, warn], i) => {
    const box = dl.children[i];
    text(box.lastChild, value);
    box.title = title ?? '';
    box.classList.toggle('warn', !!warn);
  });
}

function text(el, value) { if (el.textContent !== value) el.textContent = value; }

new Ops();
