import { decadesOf, stepsOf } from '../chart.js';
import { clock, full, short } from '../format.js';
import { unitOf } from '../layout.js';
import { pad, Plot } from '../plot.js';
import { heat, quantiles } from '../sketch.js';

// How values are spread, over time: a column for each window end, a row for
// each span of values, the colour how many. Of a number instead of a histogram:
// a row for each key, the colour the number.
export class Heatmap {
  constructor(panel, card, page) {
    this.panel = panel;
    this.card = card;
    this.page = page;
    this.unit = unitOf(panel);
    this.host = document.createElement('div');
    this.host.className = 'chart';
    this.legend = document.createElement('div');
    this.legend.className = 'ramp';
    const bar = document.createElement('i');
    this.low = document.createElement('span');
    this.high = document.createElement('span');
    this.legend.append(this.low, bar, this.high);
    card.body.append(this.host, this.legend);
    this.plot = new Heat(this.host, panel.title, { onCursor: (t) => page.cursor(t, this) });
  }

  draw(store) {
    this.store = store;
    this.shape = heat(store, this.panel);
    if (this.shape.histogram) this.lines = quantiles(store, { value: this.panel.value, quantiles: [0.5, 0.99] }).lines;
    this.low.textContent = this.shape.histogram ? 'few' : short(this.shape.low, this.unit);
    this.high.textContent = this.shape.histogram ? `${short(this.shape.high)} in a cell` : short(this.shape.high, this.unit);
    this.card.note(this.shape.hidden ? `and ${this.shape.hidden} more` : this.shape.histogram ? 'lines: p50 and p99, within 1 %' : '');
    this.scroll();
  }

  scroll() {
    const { columns } = this.shape ?? { columns: [] };
    const last = columns.at(-1)?.x, first = columns[0]?.x;
    if (last == null) return;
    const step = columns.length > 1 ? median(columns) : 10000;
    const to = Math.max(last, this.page.edge(this.store, last));
    const from = Math.max(to - (this.page.range ?? Infinity), Math.min(first - step, to - 12 * step));
    this.plot.set({ ...this.shape, lines: this.shape.histogram ? this.lines ?? [] : [], step, from, to, unit: this.unit });
  }

  cursor(time) { this.plot.follow(time); }

  get shownAt() { return this.plot.cursor; }

  picture() { return { canvas: this.plot.canvas, legend: [] }; }
}

function median(columns) {
  const d = columns.slice(-60).map((c, i, all) => i ? c.x - all[i - 1].x : Infinity).sort((a, b) => a - b);
  return d[Math.floor((d.length - 1) / 2)] || 10000;
}

class Heat extends Plot {
  instants() {
    return this.xs ??= (this.data.columns ?? []).map((c) => c.x).filter((x) => x >= this.data.from);
  }

  valuesAt(time) {
    const { columns = [], rows, bounds, histogram, unit } = this.data;
    const column = columns.find((c) => c.x === time);
    if (!column) return [];
    const sorted = column.cells.toSorted((a, b) => b.v - a.v);
    return sorted.map((cell) => ({
      name: histogram ? `${short(bounds[cell.row], unit)} – ${short(bounds[cell.row + 1], unit)}` : rows[cell.row],
      y: cell.v, color: this.shade(cell.v), open: column.open, row: cell.row,
      text: histogram ? `${full(cell.v)} (${(cell.v / column.n * 100).toFixed(1)} %)` : full(cell.v, unit),
    }));
  }

  scale(c, width, height) {
    const { from, to, rows = [], bounds, histogram, log, unit } = this.data;
    const bottom = height - pad.bottom;
    const n = Math.max(1, rows.length);
    const every = Math.max(1, Math.ceil(n / Math.max(2, Math.floor((bottom - pad.top) / (histogram ? 40 : 15)))));
    const labels = [];
    if (histogram && bounds) {
      const steps = log ? decadesOf(bounds[0], bounds.at(-1)) : stepsOf(bounds[0], bounds.at(-1), Math.max(2, Math.floor((bottom - pad.top) / 44)));
      for (const v of steps) if (v >= bounds[0] && v <= bounds.at(-1)) labels.push({ value: v, text: short(v, unit) });
    } else rows.forEach((name, i) => { if ((n - 1 - i) % every === 0) labels.push({ at: i + 0.5, text: name.length > 16 ? name.slice(0, 15) + '…' : name }); });
    const left = pad.left + Math.ceil(Math.max(0, ...labels.map((l) => c.measureText(l.text).width))) + 8;
    const right = width - pad.right;
    const place = log ? (v) => Math.log(v / bounds[0]) / Math.log(bounds.at(-1) / bounds[0]) : (v) => (v - bounds[0]) / (bounds.at(-1) - bounds[0] || 1);
    return { left, right, bottom, labels, from, to, n,
      x: (t) => left + (t - from) / (to - from || 1) * (right - left),
      row: (i) => bottom - i / n * (bottom - pad.top),
      y: (v) => bottom - Math.min(1, Math.max(0, place(v))) * (bottom - pad.top) };
  }

  // shade is the colour of a value: one hue, by lightness, so that it reads
  // the same to colour-blind eyes and in grey.
  shade(v) {
    const { low = 0, high = 1, histogram } = this.data;
    let share = (v - low) / (high - low || 1);
    if (histogram) share = Math.sqrt(share); // the rare ones should be seen
    return this.ink.ramp[Math.round(Math.max(0, Math.min(1, share)) * (this.ink.ramp.length - 1))];
  }

  paint(c, s) {
    c.textBaseline = 'middle';
    c.textAlign = 'right';
    c.fillStyle = this.ink.text;
    for (const l of s.labels) c.fillText(l.text, s.left - 8, l.value != null ? s.y(l.value) : s.row(l.at));
    const { columns = [], step = 1, lines = [] } = this.data;
    c.save();
    c.beginPath();
    c.rect(s.left, 0, s.right - s.left + pad.right, s.bottom + 1);
    c.clip();
    for (const column of columns) {
      const x0 = Math.round(s.x(column.x - step)), x1 = Math.round(s.x(column.x)); // between whole pixels there would be seams
      if (x1 < s.left || x0 > s.right) continue;
      c.globalAlpha = column.open ? 0.55 : 1;
      for (const cell of column.cells) {
        const y0 = Math.round(s.row(cell.row + 1)), y1 = Math.round(s.row(cell.row));
        c.fillStyle = this.shade(cell.v);
        c.fillRect(x0, y0, Math.max(1, x1 - x0 - (x1 - x0 > 5 ? 1 : 0)), Math.max(1, y1 - y0 - (y1 - y0 > 4 ? 1 : 0)));
      }
    }
    c.globalAlpha = 1;
    for (const line of lines) {
      c.strokeStyle = this.ink.strong;
      c.lineWidth = 1.25;
      c.setLineDash(line.name === 'p50' ? [] : [4, 3]);
      c.beginPath();
      let on = false;
      for (const p of line.points) {
        if (p.y == null) { on = false; continue; }
        const x = s.x(p.x - step / 2), y = s.y(p.y);
        if (on) c.lineTo(x, y);
        else c.moveTo(x, y);
        on = true;
      }
      c.stroke();
      c.setLineDash([]);
    }
    c.restore();
    c.strokeStyle = this.ink.line;
    c.lineWidth = 1;
    c.beginPath();
    c.moveTo(s.left, s.bottom + 0.5);
    c.lineTo(s.right, s.bottom + 0.5);
    c.stroke();
    this.times(c, s);
  }

  speak() {
    const values = this.valuesAt(this.cursor).slice(0, 3);
    this.spoken.textContent = clock(this.cursor) + ': ' + (values.map((v) => `${v.name}: ${v.text}`).join('; ') || 'nothing');
  }
}
