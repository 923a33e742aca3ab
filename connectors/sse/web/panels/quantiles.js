import { Chart } from '../chart.js';
import { alike } from '../format.js';
import { unitOf } from '../layout.js';
import { quantiles } from '../sketch.js';

// Quantiles over time: the band between the lowest and the highest, and their
// lines. Of a histogram, or of columns that are quantiles already.
export class Quantiles {
  constructor(panel, card, page) {
    this.panel = panel;
    this.card = card;
    this.page = page;
    this.unit = unitOf({ ...panel, value: panel.value ?? panel.columns?.[0] });
    this.host = document.createElement('div');
    this.host.className = 'chart';
    this.legend = document.createElement('div');
    this.legend.className = 'legend';
    card.body.append(this.host, this.legend);
    this.chart = new Chart(this.host, panel.title, { onCursor: (t) => page.cursor(t, this) });
  }

  draw(store) {
    this.store = store;
    this.shape = quantiles(store, this.panel);
    const { lines } = this.shape;
    lines.forEach((l, i) => { l.color = this.page.color([1, 3, 6, 2, 4][i % 5]); });
    this.card.note(this.shape.error);
    const newest = lines.map((l) => (l.points.findLast((p) => !p.open && p.y != null) ?? l.points.findLast((p) => p.y != null))?.y);
    const write = alike(newest, this.unit);
    this.legend.replaceChildren(...lines.map((l, i) => {
      const box = document.createElement('span'), dot = document.createElement('i'), name = document.createElement('span'), value = document.createElement('b');
      box.className = 'key';
      dot.style.background = l.color;
      name.textContent = l.name;
      value.textContent = newest[i] == null ? '–' : write(newest[i]);
      box.append(dot, name, value);
      return box;
    }));
    this.scroll();
  }

  scroll() {
    const { lines, first, last } = this.shape ?? {};
    if (!(last > -Infinity)) return;
    const to = Math.max(last, this.page.edge(this.store, last));
    const from = Math.max(to - (this.page.range ?? Infinity), Math.min(first, to - 60000));
    const low = lines.at(-1), bands = lines.slice(0, -1).map((l) => {
      const by = new Map(low.points.map((p) => [p.x, p.y]));
      return { color: l.color, alpha: 0.14, points: l.points.map((p) => ({ x: p.x, low: by.get(p.x) ?? null, high: p.y, open: p.open })) };
    });
    this.chart.set({ lines, bands, from, to, unit: this.unit, log: this.panel.scale === 'log' });
  }

  cursor(time) { this.chart.follow(time); }

  get shownAt() { return this.chart.cursor; }

  picture() { return { canvas: this.chart.canvas, legend: this.shape.lines.map((l) => ({ color: l.color, text: l.name })) }; }
}
