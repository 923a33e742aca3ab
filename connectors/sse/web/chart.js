// A line chart on a canvas: axes, lines with gaps, open windows dashed, a
// cursor for mouse, touch and keyboard. It knows nothing of rows or views.

import { clock, day, full, minute, short } from './format.js';

const pad = { top: 10, right: 14, bottom: 24, left: 8 };

// stepsOf gives about n round values that cover [low, high].
export function stepsOf(low, high, n) {
  const raw = (high - low) / Math.max(1, n);
  if (!(raw > 0)) return [low];
  const size = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * size).find((s) => s >= raw * 0.999);
  const steps = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) steps.push(i * step + 0); // no -0
  return steps;
}

// decadesOf gives the powers of ten around [low, high], and 2 and 5 between
// them where there are few.
export function decadesOf(low, high) {
  const few = high / low < 1000;
  const steps = [];
  for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e++) {
    for (const m of few ? [1, 2, 5] : [1]) steps.push(+(m * 10 ** e).toPrecision(3));
  }
  const from = Math.max(0, steps.findLastIndex((v) => v <= low));
  const to = steps.findIndex((v) => v >= high);
  return steps.slice(from, to < 0 ? steps.length : to + 1);
}

const spans = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400].map((s) => s * 1000);

// timesOf gives about n round instants in [from, to].
export function timesOf(from, to, n) {
  const raw = (to - from) / Math.max(1, n);
  const step = spans.find((s) => s >= raw) ?? Math.ceil(raw / 86400000) * 86400000;
  const times = [];
  for (let t = Math.ceil(from / step) * step; t <= to; t += step) times.push(t);
  return { times, step };
}

// typicalStep is the usual distance between points; more than 1.6 of it is a
// gap, and a gap is drawn as one.
export function typicalStep(points) {
  const d = [];
  for (let i = Math.max(1, points.length - 60); i < points.length; i++) d.push(points[i].x - points[i - 1].x);
  d.sort((a, b) => a - b);
  return d[d.length >> 1] ?? Infinity;
}

export class Chart {
  // host is the element to fill; name is what a screen reader says.
  constructor(host, name, { onCursor = () => {} } = {}) {
    this.host = host;
    this.onCursor = onCursor;
    this.canvas = document.createElement('canvas');
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute('role', 'img');
    this.canvas.setAttribute('aria-label', name + '. Arrow keys read the values.');
    this.tip = document.createElement('div');
    this.tip.className = 'tip';
    this.tip.hidden = true;
    this.spoken = document.createElement('div');
    this.spoken.className = 'unseen';
    this.spoken.setAttribute('aria-live', 'polite');
    host.append(this.canvas, this.tip, this.spoken);
    this.data = { lines: [], from: 0, to: 1, unit: '' };
    this.cursor = null;
    this.watch();
  }

  watch() {
    new ResizeObserver(() => this.draw()).observe(this.host);
    this.canvas.addEventListener('pointermove', (e) => this.point(this.timeAt(e.offsetX), e.offsetY));
    this.canvas.addEventListener('pointerleave', () => this.point(null));
    this.canvas.addEventListener('blur', () => this.point(null));
    this.canvas.addEventListener('keydown', (e) => {
      const xs = this.instants();
      if (!xs.length) return;
      let i = this.cursor == null ? xs.length : xs.findIndex((x) => x >= this.cursor);
      if (e.key === 'ArrowLeft') i = Math.max(0, i - 1);
      else if (e.key === 'ArrowRight') i = Math.min(xs.length - 1, i + 1);
      else if (e.key === 'Home') i = 0;
      else if (e.key === 'End') i = xs.length - 1;
      else if (e.key === 'Escape') return this.point(null);
      else return;
      e.preventDefault();
      this.point(xs[Math.min(i, xs.length - 1)]);
      this.speak();
    });
  }

  // set takes {lines: [{name, color, points}], from, to, unit}.
  set(data) {
    this.data = data;
    this.draw();
  }

  // follow shows another chart's cursor, without its values.
  follow(time) {
    if (this.cursor != null || time === this.other) return;
    this.other = time;
    this.draw();
  }

  instants() {
    const xs = new Set();
    for (const l of this.data.lines) for (const p of l.points) if (p.x >= this.data.from) xs.add(p.x);
    return [...xs].sort((a, b) => a - b);
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
    if (at !== this.cursor || at != null) {
      this.cursor = at;
      this.other = null;
      this.onCursor(at);
      this.draw();
    }
  }

  valuesAt(time) {
    const values = [];
    for (const l of this.data.lines) {
      const p = l.points.find((p) => p.x === time);
      if (p && p.y != null) values.push({ name: l.name, color: l.color, y: p.y, open: p.open });
    }
    return values.sort((a, b) => b.y - a.y);
  }

  speak() {
    const values = this.valuesAt(this.cursor).slice(0, 5);
    this.spoken.textContent = clock(this.cursor) + ': ' + values.map((v) => `${v.name} ${full(v.y, this.data.unit)}${v.open ? ', still open' : ''}`).join('; ');
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.host;
    if (!width || !height) return;
    const ratio = window.devicePixelRatio || 1;
    if (this.canvas.width !== Math.round(width * ratio) || this.canvas.height !== Math.round(height * ratio)) {
      this.canvas.width = Math.round(width * ratio);
      this.canvas.height = Math.round(height * ratio);
    }
    const c = this.canvas.getContext('2d');
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.clearRect(0, 0, width, height);
    const css = getComputedStyle(this.host);
    this.ink = { grid: css.getPropertyValue('--grid'), text: css.getPropertyValue('--muted'), line: css.getPropertyValue('--edge'), card: css.getPropertyValue('--card'), strong: css.getPropertyValue('--text') };
    c.font = '11px ' + css.fontFamily;
    const scale = this.scale(c, width, height);
    this.axes(c, scale);
    c.save();
    c.beginPath();
    c.rect(scale.left, 0, scale.right - scale.left + pad.right, scale.bottom + 2);
    c.clip();
    const { lines } = this.data;
    for (let i = lines.length - 1; i >= 0; i--) this.line(c, scale, lines[i], lines.length === 1);
    c.restore();
    this.hover(c, scale);
  }

  scale(c, width, height) {
    const { from, to, unit, log } = this.data;
    const bottom = height - pad.bottom;
    const { low, high, steps } = log ? this.decades() : this.steps(Math.max(2, Math.floor((bottom - pad.top) / 44)));
    const labels = steps.map((v) => short(v, unit));
    const left = this.left = pad.left + Math.ceil(Math.max(...labels.map((l) => c.measureText(l).width))) + 8;
    const right = width - pad.right;
    this.width = width;
    const part = log ? (v) => Math.log(Math.max(v, low) / low) / Math.log(high / low) : (v) => (v - low) / (high - low);
    return { left, right, bottom, steps, labels, from, to,
      x: (t) => left + (t - from) / (to - from || 1) * (right - left),
      y: (v) => bottom - part(v) * (bottom - pad.top) };
  }

  // extent is the least and the greatest value shown that passes.
  extent(passes) {
    const { lines, from, to } = this.data;
    let low = Infinity, high = -Infinity;
    for (const l of lines) {
      for (const p of l.points) {
        if (p.y == null || p.x < from || p.x > to || !passes(p.y)) continue;
        if (p.y < low) low = p.y;
        if (p.y > high) high = p.y;
      }
    }
    return [low, high];
  }

  // decades is the axis of a log scale; what is not above 0 lies on its floor.
  decades() {
    let [low, high] = this.extent((v) => v > 0);
    if (low > high) [low, high] = [1, 10];
    const steps = decadesOf(low, high);
    if (steps.length < 2) steps.push(steps[0] * 10);
    return { low: steps[0], high: steps.at(-1), steps };
  }

  steps(count) {
    let [low, high] = this.extent(() => true);
    if (low > high) [low, high] = [0, 1];
    // Zero belongs on the axis unless the values are far from it.
    if (low > 0 && low < 0.6 * high) low = 0;
    if (high < 0 && high > 0.6 * low) high = 0;
    if (low === high) { high += Math.abs(high) * 0.5 || 1; if (low > 0) low = 0; }
    const steps = stepsOf(low, high, count);
    const step = steps.length > 1 ? steps[1] - steps[0] : 1;
    if (low < steps[0]) steps.unshift(steps[0] - step);
    if (high > steps.at(-1)) steps.push(steps.at(-1) + step);
    return { low: steps[0], high: steps.at(-1), steps: steps.map((v) => Math.abs(v) < step * 1e-9 ? 0 : v) };
  }

  axes(c, s) {
    c.lineWidth = 1;
    c.textBaseline = 'middle';
    c.textAlign = 'right';
    s.steps.forEach((v, i) => {
      const y = Math.round(s.y(v)) + 0.5;
      c.strokeStyle = i === 0 ? this.ink.line : this.ink.grid;
      c.beginPath();
      c.moveTo(s.left, y);
      c.lineTo(s.right, y);
      c.stroke();
      c.fillStyle = this.ink.text;
      c.fillText(s.labels[i], s.left - 8, y);
    });
    c.textBaseline = 'alphabetic';
    c.textAlign = 'center';
    const { times, step } = timesOf(s.from, s.to, Math.max(2, (s.right - s.left) / 110));
    for (const t of times) {
      const x = s.x(t);
      const label = step >= 86400000 ? day(t) : step >= 60000 ? minute(t) : clock(t);
      const half = c.measureText(label).width / 2;
      if (x - half < s.left - 6 || x + half > s.right + pad.right) continue;
      c.fillText(label, x, s.bottom + 17);
    }
  }

  line(c, s, line, alone) {
    const points = line.points;
    const gap = typicalStep(points) * 1.6;
    c.lineJoin = c.lineCap = 'round';
    c.lineWidth = 1.75;
    c.strokeStyle = c.fillStyle = line.color;
    let run = [];
    const flush = () => {
      if (run.length === 1) {
        c.beginPath();
        c.arc(s.x(run[0].x), s.y(run[0].y), 2.25, 0, 7);
        c.fill();
      } else if (run.length) {
        if (alone) this.area(c, s, run, line.color);
        this.stroke(c, s, run);
      }
      run = [];
    };
    for (const p of points) {
      if (p.y == null || (run.length && p.x - run.at(-1).x > gap)) flush();
      if (p.y != null) run.push(p);
    }
    flush();
  }

  // stroke draws closed windows solid, and what leads to an open one dashed.
  stroke(c, s, run) {
    let i = run.findIndex((p) => p.open);
    if (i < 0) i = run.length;
    const draw = (part, dash, alpha) => {
      if (part.length < 2) return;
      c.setLineDash(dash);
      c.globalAlpha = alpha;
      c.beginPath();
      part.forEach((p, n) => n ? c.lineTo(s.x(p.x), s.y(p.y)) : c.moveTo(s.x(p.x), s.y(p.y)));
      c.stroke();
      c.setLineDash([]);
      c.globalAlpha = 1;
    };
    draw(run.slice(0, i), [], 1);
    draw(run.slice(Math.max(0, i - 1)), [3, 4], 0.8);
    const end = run.at(-1);
    c.beginPath();
    c.arc(s.x(end.x), s.y(end.y), 2.5, 0, 7);
    if (end.open) {
      const fill = c.fillStyle;
      c.fillStyle = this.ink.card;
      c.fill();
      c.lineWidth = 1.25;
      c.stroke();
      c.fillStyle = fill;
      c.lineWidth = 1.75;
    } else c.fill();
  }

  area(c, s, run, color) {
    const fill = c.createLinearGradient(0, pad.top, 0, s.bottom);
    fill.addColorStop(0, color);
    fill.addColorStop(1, this.ink.card);
    const before = c.fillStyle;
    c.fillStyle = fill;
    c.globalAlpha = 0.16;
    c.beginPath();
    c.moveTo(s.x(run[0].x), s.bottom);
    for (const p of run) c.lineTo(s.x(p.x), s.y(p.y));
    c.lineTo(s.x(run.at(-1).x), s.bottom);
    c.fill();
    c.globalAlpha = 1;
    c.fillStyle = before;
  }

  hover(c, s) {
    const at = this.cursor ?? this.other;
    if (at == null || at < s.from || at > s.to) {
      this.tip.hidden = true;
      return;
    }
    const x = Math.round(s.x(at)) + 0.5;
    c.strokeStyle = this.ink.text;
    c.globalAlpha = this.cursor == null ? 0.35 : 0.7;
    c.setLineDash([2, 3]);
    c.beginPath();
    c.moveTo(x, pad.top - 4);
    c.lineTo(x, s.bottom);
    c.stroke();
    c.setLineDash([]);
    c.globalAlpha = 1;
    const values = this.valuesAt(at);
    for (const v of values) {
      c.beginPath();
      c.arc(s.x(at), s.y(v.y), 3.5, 0, 7);
      c.fillStyle = v.color;
      c.fill();
      c.strokeStyle = this.ink.card;
      c.lineWidth = 1.5;
      c.stroke();
    }
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
    const rows = values.slice(0, 10).map((v) => {
      const row = document.createElement('div');
      row.className = 'tip-row';
      const dot = document.createElement('i');
      dot.style.background = v.color;
      const name = document.createElement('span');
      name.textContent = v.name;
      const value = document.createElement('b');
      value.textContent = full(v.y, this.data.unit);
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

// spark draws a small line without axes into a canvas: the same marks as a
// chart's.
export function spark(canvas, points, color, zero = false) {
  const { clientWidth: width, clientHeight: height } = canvas;
  if (!width || !height) return;
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const c = canvas.getContext('2d');
  c.setTransform(ratio, 0, 0, ratio, 0, 0);
  const known = points.filter((p) => p.y != null);
  if (known.length < 2) return;
  let low = Math.min(...known.map((p) => p.y)), high = Math.max(...known.map((p) => p.y));
  if (low > 0 && (zero || low < 0.6 * high)) low = 0;
  if (low === high) { low -= 1; high += 1; }
  const x = (i) => 2 + i / (known.length - 1) * (width - 6);
  const y = (v) => height - 3 - (v - low) / (high - low) * (height - 8);
  c.lineJoin = c.lineCap = 'round';
  c.strokeStyle = c.fillStyle = color;
  c.lineWidth = 1.5;
  c.beginPath();
  known.forEach((p, i) => i ? c.lineTo(x(i), y(p.y)) : c.moveTo(x(i), y(p.y)));
  c.stroke();
  c.globalAlpha = 0.12;
  c.lineTo(x(known.length - 1), height);
  c.lineTo(x(0), height);
  c.fill();
  c.globalAlpha = 1;
  c.beginPath();
  c.arc(x(known.length - 1), y(known.at(-1).y), 2.5, 0, 7);
  c.fill();
}
