// One dashboard: a stream and a store for each view, a card for each panel.
// Events go into the stores as they come; cards are drawn on animation frames.

import { Card, topicOf } from './card.js';
import { Client } from './client.js';
import { Controls } from './controls.js';
import { asked, keeper, query } from './filter.js';
import { setZone, since } from './format.js';
import { pack, panelsOf } from './layout.js';
import { judge } from './judge.js';
import { element, toast } from './menu.js';
import { Notify } from './notify.js';
import { Past } from './past.js';
import { forgetInk } from './plot.js';
import { Session } from './session.js';
import { keysOf } from './shape.js';
import { Shared, taken } from './share.js';
import { Store } from './store.js';
import { Theme } from './theme.js';
import { TruthBar } from './truth.js';
import { format, parse, ranges } from './url.js';

const hiddenFor = 60000;  // ms after which a hidden page closes its streams
const connections = 4;    // streams of a browser over HTTP/1.1, of six connections

class Page {
  constructor() {
    this.pipeline = decodeURIComponent(location.pathname.split('/')[2] ?? '');
    this.title = this.pipeline;
    this.state = parse(location.search);
    this.streams = new Map(); // view name → {client, store, frozen, path}
    this.cards = [];
    this.paused = false;
    this.pointed = null; // the instant pointed at on a chart
    this.motion = matchMedia('(prefers-reduced-motion: reduce)');
    this.bar = new TruthBar(document.getElementById('truth'), document.getElementById('because'));
    this.palette = [];
    this.names = new Map(); // series name → its colour's number
    this.turn = -1; // the card drawn last
    this.theme = new Theme(() => this.repaint(), this.state.theme);
    this.session = new Session((back) => this.signed(back));
    this.notify = new Notify(this.pipeline);
    this.past = new Past(document.getElementById('past'), this);
    this.controls = new Controls(this);
    this.listen();
    this.apply();
    this.tick();
  }

  // What panels ask of the page.
  now() { return Date.now(); }
  // time is now by the server's clock: this device's may be wrong.
  time() {
    for (const s of this.streams.values()) if (s.store.hello) return this.now() + s.store.skew;
    return this.now();
  }
  get still() { return this.motion.matches; }
  get range() { return ranges[this.state.range] ?? null; }
  color(n) { return this.palette[n] ??= getComputedStyle(document.documentElement).getPropertyValue('--s' + n).trim(); }
  number(name) {
    if (!this.names.has(name)) this.names.set(name, this.names.size % 12 + 1);
    return this.names.get(name);
  }
  cursor(time, from) {
    this.pointed = time;
    for (const c of this.cards) if (c.face !== from && !c.back) c.face.cursor?.(time);
  }
  // wake asks for one animation frame; where nothing happens there is none.
  wake() {
    this.dirty = true;
    if (this.asked) return;
    this.asked = true;
    requestAnimationFrame(() => {
      this.asked = false;
      this.frame();
    });
  }
  wakeCard(card) {
    card.drawn = -1;
    this.wake();
  }
  streamOf(view) { return this.streams.get(view); }
  stores() { return [...this.streams.keys()].map((name) => this.storeOf(name)); }

  // storeOf is what is shown of a view: the past, what was when the page was
  // paused, or what is; and of that the keys asked for.
  storeOf(name) {
    const s = this.streams.get(name);
    const store = this.past.store(name) ?? s.frozen ?? s.store;
    const terms = this.state.keys;
    const key = terms.join('\0') + '\0' + (store.hello?.epoch ?? '');
    if (s.keepFor !== key) {
      s.keepFor = key;
      const others = [...this.streams.values()].flatMap((x) => keysOf(x.store.hello));
      s.keep = terms.length && store.hello ? keeper(terms, store.hello, others) : null;
    }
    return store.view(s.keep);
  }

  // edge is where time is on a chart: the watermark, moving with the clock
  // since it was told, but never far beyond the data.
  edge(store, last) {
    if (this.still || this.paused || this.past.on || !store.mark || store.watermark == null || store.mark.idle) return last;
    const moved = Math.min(this.now() - store.markAt, 1500);
    return Math.max(last, Math.min(store.watermark + moved, last + 30000));
  }

  emptyText(view) {
    if (this.state.keys.length) return 'No row has these keys. Take a filter away to see the others.';
    if (this.past.on) {
      const h = this.streams.get(view)?.store.hello;
      return h?.windowed && h.history_ms < this.past.span ? `Nothing is left of that time: this view keeps its windows for ${since(h.history_ms)}.` : 'There were no rows at that time.';
    }
    return `No rows yet. This panel reads ${topicOf(view)}, and shows rows as soon as the pipeline writes some.`;
  }

  async start() {
    const answer = await fetch('/v1/dashboards/' + encodeURIComponent(this.pipeline)).catch(() => null);
    if (!answer?.ok) return this.unavailable(answer);
    const board = await answer.json();
    this.say();
    this.title = board.title;
    document.title = board.title + ' · leat';
    document.getElementById('title').textContent = board.title;
    document.getElementById('title').title = board.description ?? '';
    const panels = panelsOf(board.dashboard, board.views).map((p) => ({ ...p, title: p.title ?? p.value ?? p.type }));
    this.lay(this.state.panel ? panels.filter((p) => p.id === this.state.panel).map((p) => ({ ...p, width: 12 })) : pack(panels));
    const names = new Set(this.cards.map((c) => c.panel.view));
    await this.count();
    for (const name of names) this.watch(board.views.find((v) => v.name === name));
    if (board.views.length === 0) this.say('This pipeline has no live view yet.');
    else if (!this.cards.length) this.say(`There is no panel ${this.state.panel} on this dashboard.`);
    setInterval(() => this.tick(), 250);
    this.notify.look();
    fetch('/v1/ops', { method: 'HEAD' }).then((a) => { this.operator = a.ok; }, () => {}); // perhaps on another address
    this.session.check();
  }

  unavailable(answer) {
    const known = answer != null && [401, 403, 404].includes(answer.status); // there is nothing to show, nor to steer
    document.body.classList.toggle('nothing', known);
    if (known) document.getElementById('title').textContent = this.pipeline;
    if (answer?.status === 404) return this.say(`There is no dashboard “${this.pipeline}” here.`, element('a', { href: '/', text: 'All dashboards' }));
    if (answer?.status === 401 || answer?.status === 403) {
      this.say(answer.status === 401 ? 'Sign in to see this dashboard.' : 'You may not see this dashboard.', this.session.link(answer.status === 401 ? 'Sign in' : 'Sign in as somebody else'));
      return;
    }
    this.say('The server cannot be reached; trying again.');
    setTimeout(() => this.start(), 2000 + Math.random() * 3000);
  }

  // lay puts the cards into the grid; those of one stack on each other.
  lay(panels) {
    const grid = document.getElementById('content');
    grid.className = 'grid';
    let stack = null;
    for (const panel of panels) {
      const card = new Card(panel, this);
      this.cards.push(card);
      if (panel.stack === undefined) grid.append(card.el);
      else {
        if (stack?.id !== panel.stack) {
          stack = { id: panel.stack, el: element('div', { class: 'stack' }) };
          stack.el.style.setProperty('--w', panel.width);
          grid.append(stack.el);
        }
        stack.el.append(card.el);
      }
      if (this.state.tables.includes(panel.id)) card.turn(true, true);
    }
  }

  // count finds out how many connections are left.
  async count() {
    const protocol = performance.getEntriesByType('navigation')[0]?.nextHopProtocol;
    this.taken = taken(protocol, (await navigator.locks?.query().catch(() => null))?.held ?? []);
    if (this.taken >= connections) this.note('This server is reached over HTTP/1.1, where a browser has six connections for all its tabs. This page uses a WebSocket instead; with TLS (HTTP/2) there would be no limit.');
  }

  watch(view) {
    if (!view) return;
    const stream = { view, store: new Store(), frozen: null, path: view.stream, all: null, transport: this.taken++ >= connections ? 'ws' : 'sse' };
    this.streams.set(view.name, stream);
    this.ask(stream);
  }

  // ask opens a view's stream, for the keys asked for. The rows shown stay
  // until those of the new stream are there.
  ask(stream) {
    const terms = asked(this.state.keys, stream.view), path = stream.path + query(terms);
    const was = stream.client, store = was ? new Store() : stream.store;
    const client = new Shared(path, (handlers) => new Client(path, { ...handlers, transport: stream.transport }), {
      onEvent: (kind, data) => {
        if (client !== stream.client) return;
        if (!store.apply(kind, data, this.now())) return client.restart();
        if (kind === 'ready' && stream.store !== store) {
          stream.store = store;
          if (stream.frozen) stream.frozen = store.frozen();
          this.repaint();
        }
        if (kind === 'hello' || kind === 'ready') { stream.keepFor = null; this.past.offer(); }
        // Where one stream gets through, the others need not wait.
        if (kind === 'hello') for (const s of this.streams.values()) if (s !== stream) s.client.hurry();
        this.wake();
      },
      onState: (state) => {
        if (client !== stream.client) return;
        if (state === 'reconnecting' && (client.failures > 1 || client.status === 401 || client.reason === 'expired')) this.session.check();
        this.tick();
      },
      snapshot: () => store.snapshot(),
    });
    if (!terms.length) stream.all = null;
    else if (was && stream.asked === stream.path && stream.store.ready) stream.all = stream.store;
    Object.assign(stream, { client, asked: path });
    was?.close();
    client.open();
  }

  // narrow lets the server leave out what the filter hides. A paused page holds
  // its rows, and the past has all of them.
  narrow() {
    if (this.past.on) return;
    for (const s of this.streams.values()) {
      if (s.path + query(asked(this.state.keys, s.view)) === s.asked) continue;
      if (!this.paused) this.ask(s);
      else if (s.asked !== s.path) toast('Rows of other keys come when you resume.');
    }
  }

  // everything is what completion offers keys of: all rows where they are here,
  // else those from before the filter, or asked for once.
  everything() {
    return [...this.streams.values()].map((s) => {
      if (s.asked === s.path) return s.store;
      if (s.all === null) {
        s.all = { hello: s.store.hello ?? s.view, rows: new Map() };
        fetch(`/v1/views/${encodeURIComponent(s.view.pipeline)}/${encodeURIComponent(s.view.sink)}?limit=1000`).then((a) => a.ok ? a.json() : null).then((found) => {
          if (found && s.all) s.all = { hello: s.store.hello ?? s.view, rows: new Map(found.rows.map((r) => [r._key, r])) };
        }, () => { s.all = null; });
      }
      return s.all;
    });
  }

  signed(back) {
    if (back) for (const s of this.streams.values()) if (s.client.state !== 'live') { s.client.close(); s.client.open(); }
    if (this.session.out) this.note('Your session is over; these are the last numbers.', this.session.link('Sign in again'));
    else if (back) this.note();
    this.tick();
  }

  // change is how everything that a link keeps is changed.
  change(what) {
    Object.assign(this.state, what);
    history.replaceState(null, '', location.pathname + format(this.state) + location.hash);
    if (what.keys) this.narrow();
    this.apply();
  }

  // link is the address of what is seen; of a paused page, with its time.
  link(over = {}) {
    const at = this.past.on ? this.past.at : this.paused && this.past.span ? this.pausedAt : null;
    return location.origin + location.pathname + format({ ...this.state, at, ...over });
  }

  turned() { this.change({ tables: this.cards.filter((c) => c.back).map((c) => c.panel.id) }); }

  apply() {
    document.body.classList.toggle('kiosk', this.state.kiosk);
    document.body.classList.toggle('single', !!this.state.panel);
    setZone(this.state.utc ? 'UTC' : undefined);
    this.controls.show();
    this.repaint();
  }

  // tick refreshes what changes with the clock alone.
  tick() {
    const now = this.now();
    const shown = [...this.streams.entries()].map(([name, s]) => this.past.on ? { client: s.client, store: this.past.store(name) ?? s.store } : s);
    const truth = judge(shown, now, navigator.onLine);
    if (this.session.out && truth.state !== 'live') truth.state = 'signed out';
    let held = 0;
    for (const s of this.streams.values()) if (s.frozen) held += s.store.updates - s.frozen.updates;
    const { on, at, speed, playing } = this.past;
    // Paused, the numbers shown are as complete as they were then.
    const frozen = this.paused && !on ? [...this.streams.values()].map((s) => s.frozen?.watermark).filter((w) => w != null) : [];
    if (frozen.length) truth.watermark = Math.min(...frozen);
    this.bar.show(truth, { paused: this.paused, pausedAt: this.pausedAt, held, now, past: on ? { at, speed, playing } : null });
    document.body.classList.toggle('unsure', !on && !['live', 'catching up', 'connecting'].includes(truth.state));
    document.body.classList.toggle('loading', this.past.loading);
    this.scrolling = !this.still && !this.paused && !on && truth.state === 'live' && !document.hidden;
    if (this.scrolling) this.wake();
    if (Math.floor(now / 1000) !== this.second) {
      this.second = Math.floor(now / 1000);
      if (this.past.span) this.past.show();
      if (this.second % 5 === 0) {
        this.controls.offer();
        this.past.offer();
      }
    }
  }

  frame() {
    // At most a few milliseconds a frame: who is not drawn now is the first in
    // the next one. More where frames are rare, and for the first picture.
    const now = performance.now();
    const until = now + (this.cards.some((c) => !c.seen) ? 40 : Math.max(4, Math.min(16, (now - (this.framed ?? now)) / 4)));
    this.framed = now;
    if (this.scrolling) {
      this.scrolling = false;
      for (const c of this.cards) if (!c.back && !c.frozen) c.face.scroll?.();
    }
    if (!this.dirty) return;
    this.dirty = false;
    for (let n = 0; n < this.cards.length; n++) {
      if (n && performance.now() > until) return this.wake();
      const card = this.cards[this.turn = (this.turn + 1) % this.cards.length];
      if (this.streams.has(card.panel.view)) card.draw(this.storeOf(card.panel.view));
    }
  }

  repaint() {
    this.palette = [];
    forgetInk();
    for (const c of this.cards) {
      c.drawn = -1;
      c.next = 0;
    }
    this.wake();
  }

  pause(on) {
    if (this.past.on) return this.past.playing ? this.past.stop() : this.past.run();
    this.paused = on;
    this.pausedAt = on ? this.time() : null;
    for (const s of this.streams.values()) s.frozen = on ? s.store.frozen() : null;
    if (!on) this.narrow();
    this.controls.show();
    this.repaint();
    this.tick();
  }

  listen() {
    document.addEventListener('visibilitychange', () => this.visibility());
    for (const e of ['online', 'offline', 'focus']) {
      addEventListener(e, () => {
        if (navigator.onLine) for (const s of this.streams.values()) s.client.hurry();
        this.tick();
      });
    }
    addEventListener('focus', () => { if (this.session.out) this.session.check(); });
    addEventListener('pagehide', () => { for (const s of this.streams.values()) s.client.close(); });
    addEventListener('pageshow', (e) => { if (e.persisted) for (const s of this.streams.values()) s.client.open(); });
    this.motion.addEventListener('change', () => this.repaint());
  }

  // visibility: a page that nobody sees costs the server nothing; it resumes
  // from its cursor.
  visibility() {
    clearTimeout(this.asleep);
    if (document.hidden) {
      this.asleep = setTimeout(() => { for (const s of this.streams.values()) s.client.close(); }, hiddenFor);
      return;
    }
    for (const s of this.streams.values()) {
      if (s.client.state === 'closed') s.client.open();
      else s.client.hurry();
    }
    this.repaint();
  }

  // say shows a message in place of panels, note one above them.
  say(...parts) { place('message', parts); }
  note(...parts) { place('notice', parts); }
}

function place(id, parts) {
  const el = document.getElementById(id);
  el.replaceChildren(...parts.map((p) => typeof p === 'string' ? element('span', { text: p }) : p));
  el.hidden = !parts.length;
}

new Page().start();
