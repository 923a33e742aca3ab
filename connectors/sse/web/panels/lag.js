import { sized, spark } from '../chart.js';
import { clock, since } from '../format.js';

// How far the view is behind, over the last minutes that this page has seen,
// and which input holds it back.
export class Lag {
  constructor(panel, card, page) {
    this.page = page;
    this.alwaysOn = true; // drawn with each mark, rows or none
    this.tabled = false;
    this.seen = [];
    this.value = document.createElement('div');
    this.value.className = 'stat-value';
    this.list = document.createElement('dl');
    this.list.className = 'lag-list';
    this.canvas = document.createElement('canvas');
    this.canvas.className = 'spark';
    this.canvas.setAttribute('aria-hidden', 'true');
    card.body.append(this.value, this.list, this.canvas);
    this.facts = {};
    for (const name of ['complete to', 'rows behind', 'held back by']) {
      const dt = document.createElement('dt'), dd = document.createElement('dd');
      dt.textContent = name;
      this.list.append(dt, dd);
      this.facts[name] = dd;
    }
    sized(this.canvas, () => this.line());
  }

  draw(store) {
    const m = store.mark;
    if (!m) return;
    if (this.seen.at(-1)?.x === m.now) return;
    this.seen.push({ x: m.now, y: m.lag_ms });
    this.seen = this.seen.slice(-300);
    this.value.textContent = m.ended ? 'the end' : since(m.lag_ms);
    this.facts['complete to'].textContent = clock(m.watermark);
    this.facts['rows behind'].textContent = m.lag_records.toLocaleString();
    this.facts['held back by'].textContent = m.holding || '–';
    this.facts['held back by'].title = m.holding || '';
    this.line();
  }

  picture() { return { canvas: this.canvas, legend: [{ color: this.page.color(1), text: 'behind by ' + this.value.textContent }] }; }

  line() { spark(this.canvas, this.seen, this.page.color(1), true); }
}
