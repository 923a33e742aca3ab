// One dashboard: a stream and a store for each view, a card for each panel.
// Events go into the stores as they come; cards are drawn on animation frames.

import { Card } from './card.js';
import { Client } from './client.js';
import { setZone } from './format.js';
import { pack, panelsOf } from './layout.js';
import { Store } from './store.js';
import { theme } from './theme.js';
import { judge, TruthBar } from './truth.js';

const hiddenFor = 60000; // ms after which a hidden page closes its streams

class Page {
  constructor() {
    this.pipeline = decodeURIComponent(location.pathname.split('/')[2] ?? '');
    this.streams = new Map(); // view name → {client, store, frozen}
    this.cards = [];
    this.paused = false;
    this.range = null; // ms; null: all there is
    this.motion = matchMedia('(prefers-reduced-motion: reduce)');
    this.bar = new TruthBar(document.getElementById('truth'));
    this.palette = [];
    this.names = new Map(); // series name → its colour's number
    this.turn = -1; // the card drawn last
    theme(document.getElementById('theme'), () => this.repaint());
    this.controls();
    this.tick();
  }

  // What panels ask of the page.
  now() { return Date.now(); }
  get still() { return this.motion.matches; }
  color(n) { return this.palette[n] ??= getComputedStyle(document.documentElement).getPropertyValue('--s' + n).trim(); }
  number(name) {
    if (!this.names.has(name)) this.names.set(name, this.names.size % 12 + 1);
    return this.names.get(name);
  }
  cursor(time, from) { for (const c of this.cards) if (c.face !== from) c.face.cursor?.(time); }
  wake() { this.dirty = true; }

  // edge is where time is on a chart: the watermark, moving with the clock
  // since it was told, but never far beyond the data.
  edge(store, last) {
    if (this.still || this.paused || !store.mark || store.watermark == null || store.mark.idle) return last;
    const moved = Math.min(this.now() - store.markAt, 1500);
    return Math.max(last, Math.min(store.watermark + moved, last + 30000));
  }

  async start() {
    const answer = await fetch('/v1/dashboards/' + encodeURIComponent(this.pipeline)).catch(() => null);
    if (!answer?.ok) {
      const gone = answer?.status === 404;
      this.say(gone ? `There is no dashboard “${this.pipeline}” here.` : 'The server cannot be reached; trying again.');
      if (!gone) setTimeout(() => this.start(), 2000 + Math.random() * 3000);
      return;
    }
    const board = await answer.json();
    this.say('');
    document.title = board.title + ' · leat';
    document.getElementById('title').textContent = board.title;
    const grid = document.getElementById('grid');
    for (const panel of pack(panelsOf(board.dashboard, board.views))) {
      panel.title ??= panel.value ?? panel.type;
      const card = new Card(panel, this);
      this.cards.push(card);
      grid.append(card.el);
    }
    for (const name of new Set(this.cards.map((c) => c.panel.view))) this.watch(board.views.find((v) => v.name === name));
    if (board.views.length === 0) this.say('This pipeline has no live view yet.');
    setInterval(() => this.tick(), 250);
    const frame = () => { this.frame(); requestAnimationFrame(frame); };
    requestAnimationFrame(frame);
  }

  watch(view) {
    if (!view) return;
    const stream = { store: new Store(), frozen: null };
    stream.client = new Client(view.stream, {
      onEvent: (kind, data) => {
        stream.store.apply(kind, data, this.now());
        this.dirty = true;
      },
      onState: () => this.tick(),
    });
    this.streams.set(view.name, stream);
    stream.client.open();
  }

  // tick refreshes what changes with the clock alone.
  tick() {
    const truth = judge([...this.streams.values()], this.now(), navigator.onLine);
    let held = 0;
    for (const s of this.streams.values()) {
      if (s.frozen) held += s.store.updates - s.frozen.updates;
    }
    this.bar.show(truth, this.paused, held);
    document.body.classList.toggle('unsure', !['live', 'catching up', 'connecting'].includes(truth.state));
    if (!this.still && !this.paused && truth.state === 'live') for (const c of this.cards) if (!c.back) c.face.scroll?.();
  }

  frame() {
    if (!this.dirty) return;
    this.dirty = false;
    // At most a few milliseconds a frame: who is not drawn now is the first in
    // the next one.
    const until = performance.now() + 4;
    for (let n = 0; n < this.cards.length; n++) {
      if (performance.now() > until) { this.dirty = true; return; }
      const card = this.cards[this.turn = (this.turn + 1) % this.cards.length];
      const s = this.streams.get(card.panel.view);
      if (s) card.draw(s.frozen ?? s.store);
    }
  }

  repaint() {
    this.palette = [];
    for (const c of this.cards) c.drawn = -1;
    this.dirty = true;
  }

  pause(on) {
    this.paused = on;
    for (const s of this.streams.values()) s.frozen = on ? s.store.frozen() : null;
    const button = document.getElementById('pause');
    button.textContent = on ? 'Resume' : 'Pause';
    button.setAttribute('aria-pressed', String(on));
    this.repaint();
    this.tick();
  }

  controls() {
    document.getElementById('pause').addEventListener('click', () => this.pause(!this.paused));
    document.addEventListener('keydown', (e) => {
      if (e.key !== ' ' || e.ctrlKey || e.metaKey || e.altKey || e.target.closest('button, input, select, textarea, a')) return;
      e.preventDefault();
      this.pause(!this.paused);
    });
    const zone = document.getElementById('zone');
    zone.addEventListener('click', () => {
      const utc = zone.getAttribute('aria-pressed') !== 'true';
      setZone(utc ? 'UTC' : undefined);
      zone.setAttribute('aria-pressed', String(utc));
      this.repaint();
      this.tick();
    });
    const range = document.getElementById('range');
    range.addEventListener('change', () => {
      this.range = Number(range.value) || null;
      this.repaint();
    });
    document.addEventListener('visibilitychange', () => this.visibility());
    for (const e of ['online', 'offline']) addEventListener(e, () => this.tick());
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
    for (const s of this.streams.values()) if (s.client.state === 'closed') s.client.open();
    this.repaint();
  }

  say(text) {
    const el = document.getElementById('message');
    el.textContent = text;
    el.hidden = !text;
  }
}

new Page().start();
