import { Chart } from '../chart.js';
import { unitOf } from '../layout.js';
import { alike } from '../format.js';
import { shifted, timeseries } from '../shape.js';
import { shifts } from '../url.js';

// Lines over time; x is the window's end. Open windows are dashed, gaps are
// gaps, and the legend takes lines away and brings them back; with Alt or
// Shift it leaves one alone.
export class Timeseries {
  constructor(panel, card, page) {
    this.panel = panel;
    this.card = card;
    this.page = page;
    this.unit = unitOf(panel);
    this.off = new Set();     // lines taken away
    this.colors = new Map();  // line → 1 to 12
    this.host = document.createElement('div');
    this.host.className = 'chart';
    this.legend = document.createElement('div');
    this.legend.className = 'legend';
    card.body.append(this.host, this.legend);
    this.chart = new Chart(this.host, panel.title, { onCursor: (t) => page.cursor(t, this) });
  }

  draw(store) {
    this.store = store;
    const shape = timeseries(store, this.panel, this.panel.top ?? 12);
    this.shape = shape;
    this.color(shape.lines);
    this.scroll();
    this.key(shape);
  }

  // scroll moves the time axis: its end is where the data is, and goes on with
  // the clock between two windows so that the chart moves steadily.
  scroll() {
    const { lines, first, last } = this.shape ?? {};
    if (!(last > -Infinity)) return this.chart.set({ lines: [], from: this.page.time() - 60000, to: this.page.time(), unit: this.unit });
    const to = Math.max(last, this.page.edge(this.store, last));
    const range = this.page.range ?? Infinity;
    const step = Math.max(1000, ...lines.slice(0, 1).map((l) => l.points.length > 1 ? l.points[1].x - l.points[0].x : 0));
    const from = Math.max(to - range, Math.min(first, to - 12 * step));
    const own = lines.filter((l) => !this.off.has(l.name));
    this.chart.set({ lines: [...own, ...this.ghosts(own, from, to)], from, to, unit: this.unit, log: this.panel.scale === 'log' });
  }

  // ghosts are the same lines an earlier while, over the newest ones.
  ghosts(lines, from, to) {
    const { compare } = this.page.state;
    if (!compare) return [];
    return shifted(lines, shifts[compare], from, to).filter((l) => l.points.length)
      .map((l) => ({ ...l, name: `${l.name}, ${compare.replace(/(\d+)/, '$1 ').replace('m', 'min')} ago`, ghost: true }));
  }

  // color: a line keeps its colour while it is here, and a name has the same
  // one in all charts of the page where that is possible.
  color(lines) {
    const here = new Set(lines.map((l) => l.name));
    for (const name of this.colors.keys()) if (!here.has(name)) this.colors.delete(name);
    for (const line of lines) {
      if (!this.colors.has(line.name)) {
        const taken = new Set(this.colors.values());
        let n = lines.length === 1 ? 1 : this.page.number(line.name);
        for (let i = 0; i < 12 && taken.has(n); i++) n = n % 12 + 1;
        this.colors.set(line.name, n);
      }
      line.color = this.page.color(this.colors.get(line.name));
    }
  }

  key({ lines, hidden }) {
    if (lines.length < 2 && !this.off.size) {
      this.legend.replaceChildren();
      return;
    }
    const names = lines.map((l) => l.name).join('\0');
    if (names !== this.legendNames) {
      this.legendNames = names;
      this.items = lines.map((l) => this.item(l.name));
      this.more = document.createElement('span');
      this.more.className = 'more';
      this.legend.replaceChildren(...this.items.map((i) => i.button), this.more);
    }
    const newest = lines.map((l) => {
      const known = l.points.filter((p) => p.y != null);
      return (known.findLast((p) => !p.open) ?? known.at(-1))?.y;
    });
    const write = alike(newest, this.unit);
    lines.forEach((l, i) => {
      const { button, dot, value } = this.items[i];
      dot.style.background = l.color;
      value.textContent = newest[i] == null ? '–' : write(newest[i]);
      button.setAttribute('aria-pressed', String(!this.off.has(l.name)));
    });
    this.more.textContent = hidden ? `and ${hidden} more` : '';
  }

  item(name) {
    const button = document.createElement('button');
    button.type = 'button';
    const dot = document.createElement('i');
    const text = document.createElement('span');
    text.textContent = name;
    const value = document.createElement('b');
    button.append(dot, text, value);
    button.title = `Show or hide ${name}; with Shift: only this one`;
    button.addEventListener('click', (e) => {
      if (e.shiftKey || e.altKey) {
        const others = this.shape.lines.map((l) => l.name).filter((n) => n !== name);
        const alone = others.every((n) => this.off.has(n)) && !this.off.has(name);
        this.off = new Set(alone ? [] : others);
      } else if (!this.off.delete(name)) this.off.add(name);
      this.draw(this.store);
    });
    return { button, dot, value };
  }

  cursor(time) { this.chart.follow(time); }

  get shownAt() { return this.chart.cursor; }

  picture() {
    return { canvas: this.chart.canvas, legend: (this.shape?.lines ?? []).filter((l) => !this.off.has(l.name) && this.shape.lines.length > 1).map((l) => ({ color: l.color, text: l.name })) };
  }
}
