// What all plots over time share: a canvas that fills its host, a cursor for
// mouse, touch and keyboard that is read out, and a tip beside it. It knows
// nothing of rows or views; what is drawn is its children's.

import { alike, clock, day, full, minute } from './format.js';

export const pad = { top: 10, right: 14, bottom: 24, left: 8 };

const spans = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400].map((s) => s * 1000);

// timesOf gives about n round instants in [from, to].
export function timesOf(from, to, n) {
  const raw = (to - from) / Math.max(1, n);
  const step = spans.find((s) => s >= raw) ?? Math.ceil(raw / 86400000) * 86400000;
  const times = [];
  for (let t = Math.ceil(from / step) * step; t <= to; t += step) times.push(t);
  return { times, step };
}

// timeLabel writes an instant as finely as an axis of this step needs it.
export const timeLabel = (t, step) => step >= 86400000 ? day(t) : step >= 60000 ? minute(t) : clock(t);

// Colours are asked for once until they change.
let inks = 0;
export function forgetInk() { inks++; }

export class Plot {
  // host is the element to fill; name is what a screen reader says.
  constructor(host, name, { onCursor = () => {} } = {}) {
    this.host = host;
    this.onCursor = onCursor;
    this.canvas = document.createElement('canvas');
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute('role', 'img');
    this.canvas.setAttribute('aria-roledescription', 'chart');
    this.canvas.setAttribute('aria-label', name + '. Left and right arrow keys read the values, Enter holds the place.');
    this.tip = document.createElement('div');
    this.tip.className = 'tip';
    this.tip.hidden = true;
    this.spoken = document.createElement('div');
    this.spoken.className = 'unseen';
    this.spoken.setAttribute('aria-live', 'polite');
    host.append(this.canvas, this.tip, this.spoken);
    this.data = { lines: [], from: 0, to: 1, unit: '' };
    this.cursor = null; // the instant pointed at, or null
    this.held = null;   // the instant held by a click or Enter, or null
    this.watch();
  }

  watch() {
    // The size is kept: to read it in the midst of drawing would lay out anew.
    new ResizeObserver(([e]) => {
      this.size = { width: e.contentRect.width, height: e.contentRect.height };
      this.draw();
    }).observe(this.host);
    this.canvas.addEventListener('pointermove', (e) => this.point(this.timeAt(e.offsetX), e.offsetY));
    this.canvas.addEventListener('pointerleave', () => this.point(this.held));
    this.canvas.addEventListener('click', () => this.hold());
    this.canvas.addEventListener('blur', () => this.point(this.held));
    this.canvas.addEventListener('keydown', (e) => {
      const xs = this.instants();
      if (!xs.length || e.ctrlKey || e.metaKey || e.altKey) return;
      let i = this.cursor == null ? xs.length : xs.findIndex((x) => x >= this.cursor);
      if (e.key === 'ArrowLeft') i = Math.max(0, i - 1);
      else if (e.key === 'ArrowRight') i = Math.min(xs.length - 1, i + 1);
      else if (e.key === 'PageUp') i = Math.max(0, i - 10);
      else if (e.key === 'PageDown') i = Math.min(xs.length - 1, i + 10);
      else if (e.key === 'Home') i = 0;
      else if (e.key === 'End') i = xs.length - 1;
      else if (e.key === 'Enter') return this.hold();
      else if (e.key === 'Escape') {
        this.held = null;
        return this.point(null);
      } else return;
      e.preventDefault();
      this.pointerY = undefined;
      this.point(xs[Math.min(i, xs.length - 1)]);
      this.speak();
    });
  }

  // hold keeps the cursor where it is, or lets it go.
  hold() {
    this.held = this.held === this.cursor ? null : this.cursor;
    this.soon();
  }

  // soon draws on the next animation frame, once.
  soon() {
    if (this.queued) return;
    this.queued = true;
    requestAnimationFrame(() => {
      this.queued = false;
      this.draw();
    });
  }

  // set takes {lines, from, to, unit, …}.
  set(data) {
    this.data = data;
    this.xs = null;
    this.draw();
  }

  // follow shows another plot's cursor, without its values.
  follow(time) {
    if (this.cursor != null || time === this.other) return;
    this.other = time;
    this.soon();
  }

  // instants are the times that have values, in order.
  instants() {
    if (this.xs) return this.xs;
    const xs = new Set();
    for (const l of this.data.lines) for (const p of l.points) if (p.x >= this.data.from && !l.ghost) xs.add(p.x);
    return this.xs = [...xs].sort((a, b) => a - b);
  }

  timeAt(px) {
    const { from, to } = this.data;
    return from + (px - this.left) / Math.max(1, this.width - this.left - pad.right) * (to - from);
  }

  // point moves the cursor to the nearest instant; null takes it away.
  point(time, y) {
    let at = null;
    if (time != null) {
      let best = Infinity;
      for (const x of this.instants()) {
        const d = Math.abs(x - time);
        if (d < best) { best = d; at = x; }
      }
    }
    this.pointerY = y;
    if (at === this.cursor && at == null) return;
    const moved = at !== this.cursor;
    this.cursor = at;
    this.other = null;
    if (moved) this.onCursor(at);
    this.soon();
  }

  // valuesAt lists what is at an instant: [{name, color, y, open}].
  valuesAt(time) {
    const values = [];
    for (const l of this.data.lines) {
      const p = l.points.find((p) => p.x === time);
      if (p && p.y != null) values.push({ name: l.name, color: l.color, y: p.y, open: p.open, ghost: l.ghost, text: p.exact && full(p.exact, this.data.unit) });
    }
    return values.sort((a, b) => b.y - a.y);
  }

  speak() {
    const values = this.valuesAt(this.cursor).slice(0, 5);
    this.spoken.textContent = clock(this.cursor) + ': ' + (values.map((v) => `${v.name} ${v.text ?? full(v.y, this.data.unit)}${v.open ? ', still open' : ''}`).join('; ') || 'nothing');
  }

  // draw is called on an animation frame, by its panel, or when the host grows.
  draw() {
    const { width, height } = this.size ?? {};
    if (!width || !height) return;
    const ratio = window.devicePixelRatio || 1;
    if (this.canvas.width !== Math.round(width * ratio) || this.canvas.height !== Math.round(height * ratio)) {
      this.canvas.width = Math.round(width * ratio);
      this.canvas.height = Math.round(height * ratio);
    }
    const c = this.canvas.getContext('2d');
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.clearRect(0, 0, width, height);
    if (this.inked !== inks) this.dip();
    this.width = width;
    c.font = this.ink.font;
    const scale = this.scale(c, width, height);
    this.left = scale.left;
    this.paint(c, scale);
    this.hover(c, scale);
  }

  dip() {
    const css = getComputedStyle(this.host);
    const ink = (name) => css.getPropertyValue(name).trim();
    this.inked = inks;
    this.ink = { grid: ink('--grid'), text: ink('--muted'), line: ink('--edge'), card: ink('--card'), strong: ink('--text'), font: '11px ' + css.fontFamily,
      ramp: ['--h1', '--h2', '--h3', '--h4', '--h5', '--h6', '--h7'].map(ink) };
  }

  // times writes the axis of time below.
  times(c, s) {
    c.fillStyle = this.ink.text;
    c.textBaseline = 'alphabetic';
    c.textAlign = 'center';
    const { times, step } = timesOf(s.from, s.to, Math.max(2, (s.right - s.left) / 110));
    for (const t of times) {
      const x = s.x(t);
      const label = timeLabel(t, step);
      const half = c.measureText(label).width / 2;
      if (x - half < s.left - 6 || x + half > s.right + pad.right) continue;
      c.fillText(label, x, s.bottom + 17);
    }
  }

  hover(c, s) {
    const at = this.cursor ?? this.other;
    if (at == null || at < s.from || at > s.to) {
      this.tip.hidden = true;
      return;
    }
    const x = Math.round(s.x(at)) + 0.5;
    c.strokeStyle = this.held != null && at === this.held ? this.ink.strong : this.ink.text;
    c.lineWidth = 1;
    c.globalAlpha = this.cursor == null ? 0.35 : 0.7;
    c.setLineDash(this.held != null && at === this.held ? [] : [2, 3]);
    c.beginPath();
    c.moveTo(x, pad.top - 4);
    c.lineTo(x, s.bottom);
    c.stroke();
    c.setLineDash([]);
    c.globalAlpha = 1;
    const values = this.valuesAt(at);
    this.dots?.(c, s, at, values);
    if (this.cursor == null) {
      this.tip.hidden = true;
      return;
    }
    this.say(values, x, s);
  }

  // say fills the tip and puts it beside the cursor.
  say(values, x, s) {
    const head = document.createElement('div');
    head.className = 'tip-time';
    head.textContent = clock(this.cursor) + (values.some((v) => v.open) ? ' · still open' : '');
    const write = alike(values.map((v) => v.y), this.data.unit, true);
    const rows = values.slice(0, 12).map((v) => {
      const row = document.createElement('div');
      row.className = v.ghost ? 'tip-row ghost' : 'tip-row';
      const dot = document.createElement('i');
      dot.style.background = v.color;
      const name = document.createElement('span');
      name.textContent = v.name;
      const value = document.createElement('b');
      value.textContent = v.text ?? write(v.y);
      row.append(dot, name, value);
      return row;
    });
    this.tip.replaceChildren(head, ...rows);
    this.tip.hidden = false;
    const w = this.tip.offsetWidth;
    const right = x + 14 + w < this.width;
    this.tip.style.left = (right ? x + 14 : Math.max(0, x - 14 - w)) + 'px';
    this.tip.style.top = Math.max(0, Math.min((this.pointerY ?? 24) - 20, s.bottom - this.tip.offsetHeight)) + 'px';
  }
}
