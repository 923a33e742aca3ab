// A line chart on a canvas: axes, lines with gaps, open windows dashed, bands
// between two values, and the same time an hour or a day ago as thin lines.

import { short } from './format.js';
import { pad, Plot } from './plot.js';

export { timesOf } from './plot.js';

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

// typicalStep is the usual distance between points; more than 1.6 of it is a
// gap, and a gap is drawn as one.
export function typicalStep(points) {
  const d = [];
  for (let i = Math.max(1, points.length - 60); i < points.length; i++) d.push(points[i].x - points[i - 1].x);
  d.sort((a, b) => a - b);
  return d[d.length >> 1] ?? Infinity;
}

export class Chart extends Plot {
  // set takes {lines: [{name, color, points: [{x, y, open}], ghost}], bands:
  // [{color, alpha, points: [{x, low, high, open}]}], from, to, unit, log}.
  paint(c, s) {
    if (!this.data.lines.length) return; // no numbers, no axes
    this.axes(c, s);
    c.save();
    c.beginPath();
    c.rect(s.left, 0, s.right - s.left + pad.right, s.bottom + 2);
    c.clip();
    const { lines, bands = [] } = this.data;
    for (const b of bands) this.band(c, s, b);
    const own = lines.filter((l) => !l.ghost).length;
    for (const l of lines) if (l.ghost) this.ghost(c, s, l);
    for (let i = lines.length - 1; i >= 0; i--) if (!lines[i].ghost) this.line(c, s, lines[i], own === 1 && !bands.length);
    c.restore();
  }

  scale(c, width, height) {
    const { from, to, unit, log } = this.data;
    const bottom = height - pad.bottom;
    const { low, high, steps } = log ? this.decades() : this.steps(Math.max(2, Math.floor((bottom - pad.top) / 44)));
    const labels = steps.map((v) => short(v, unit));
    const left = pad.left + Math.ceil(Math.max(...labels.map((l) => c.measureText(l).width))) + 8;
    const right = width - pad.right;
    const part = log ? (v) => Math.log(Math.max(v, low) / low) / Math.log(high / low) : (v) => (v - low) / (high - low);
    return { left, right, bottom, steps, labels, from, to,
      x: (t) => left + (t - from) / (to - from || 1) * (right - left),
      y: (v) => bottom - part(v) * (bottom - pad.top) };
  }

  // extent is the least and the greatest value shown that passes.
  extent(passes) {
    const { lines, bands = [], from, to } = this.data;
    let low = Infinity, high = -Infinity;
    const see = (v) => {
      if (v == null || !passes(v)) return;
      if (v < low) low = v;
      if (v > high) high = v;
    };
    for (const l of lines) for (const p of l.points) if (p.x >= from && p.x <= to) see(p.y);
    for (const b of bands) for (const p of b.points) if (p.x >= from && p.x <= to) { see(p.low); see(p.high); }
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
    this.times(c, s);
  }

  // band fills between two values; what is still open is lighter.
  band(c, s, band) {
    const gap = typicalStep(band.points) * 1.6;
    c.fillStyle = band.color;
    let run = [];
    const flush = () => {
      if (run.length > 1) {
        c.globalAlpha = run[0].open ? band.alpha * 0.5 : band.alpha;
        c.beginPath();
        run.forEach((p, i) => i ? c.lineTo(s.x(p.x), s.y(p.high)) : c.moveTo(s.x(p.x), s.y(p.high)));
        for (const p of run.toReversed()) c.lineTo(s.x(p.x), s.y(p.low));
        c.fill();
      }
      run = [];
    };
    for (const p of band.points) {
      if (p.low == null || p.high == null) { flush(); continue; }
      const before = run.at(-1);
      if (before && p.x - before.x > gap) flush();
      else if (before && !!before.open !== !!p.open) {
        flush();
        run.push({ ...before, open: p.open });
      }
      run.push(p);
    }
    flush();
    c.globalAlpha = 1;
  }

  // ghost is a line of another time, put over this one.
  ghost(c, s, line) {
    const gap = typicalStep(line.points) * 1.6;
    c.strokeStyle = line.color;
    c.lineWidth = 1.5;
    c.globalAlpha = 0.75;
    c.setLineDash([1.5, 3]);
    c.beginPath();
    let before = null;
    for (const p of line.points) {
      if (p.y == null) { before = null; continue; }
      if (!before || p.x - before.x > gap) c.moveTo(s.x(p.x), s.y(p.y));
      else c.lineTo(s.x(p.x), s.y(p.y));
      before = p;
    }
    c.stroke();
    c.setLineDash([]);
    c.globalAlpha = 1;
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

  dots(c, s, at, values) {
    for (const v of values) {
      if (v.ghost) continue;
      c.beginPath();
      c.arc(s.x(at), s.y(v.y), 3.5, 0, 7);
      c.fillStyle = v.color;
      c.fill();
      c.strokeStyle = this.ink.card;
      c.lineWidth = 1.5;
      c.stroke();
    }
  }
}

const sizes = new WeakMap(); // canvas → its size, known without laying out

// sized calls draw when a canvas has got another size.
export function sized(canvas, draw) {
  new ResizeObserver(([e]) => {
    sizes.set(canvas, { width: e.contentRect.width, height: e.contentRect.height });
    draw();
  }).observe(canvas);
}

// spark draws a small line without axes into a canvas: the same marks as a
// chart's.
export function spark(canvas, points, color, zero = false) {
  const { width, height } = sizes.get(canvas) ?? {};
  if (!width || !height) return;
  const ratio = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const c = canvas.getContext('2d');
  c.setTransform(ratio, 0, 0, ratio, 0, 0);
  c.clearRect(0, 0, width, height);
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
