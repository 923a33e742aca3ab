import { sized, spark } from '../chart.js';
import { clock, full, short } from '../format.js';
import { unitOf } from '../layout.js';
import { stat } from '../shape.js';
import { shifts } from '../url.js';

// One number: the newest closed window's, with how it came to be. Without
// windows its past is what this page has seen, a value each second.
export class Stat {
  constructor(panel, card, page) {
    this.panel = panel;
    this.page = page;
    this.tabled = false; // a number needs no table
    this.unit = unitOf(panel);
    this.seen = [];
    const row = document.createElement('div');
    row.className = 'stat';
    this.value = document.createElement('div');
    this.value.className = 'stat-value';
    this.change = document.createElement('div');
    this.change.className = 'stat-change';
    this.canvas = document.createElement('canvas');
    this.canvas.className = 'spark';
    this.canvas.setAttribute('aria-hidden', 'true');
    row.append(this.value, this.change);
    card.body.append(row, this.canvas);
    sized(this.canvas, () => this.line());
  }

  draw(store) {
    let points = stat(store, this.panel);
    if (points.length && points[0].x == null) {
      const second = Math.floor(this.page.now() / 1000);
      if (this.seen.at(-1)?.x !== second) this.seen.push({ x: second });
      Object.assign(this.seen.at(-1), { y: points[0].y, exact: points[0].exact });
      this.seen = this.seen.slice(-120);
      points = this.seen;
    }
    const closed = points.filter((p) => !p.open && p.y != null);
    const shown = closed.length ? closed : points.filter((p) => p.y != null);
    // Pointed at on a chart: that window's number.
    const pointed = store.hello?.windowed && this.page.pointed != null ? points.findIndex((p) => p.x === this.page.pointed && p.y != null) : -1;
    const last = pointed >= 0 ? points[pointed] : shown.at(-1);
    const { compare } = this.page.state;
    const then = compare && last?.x != null ? points.find((p) => p.x === last.x - shifts[compare]) : null;
    const before = then ?? (pointed >= 0 ? points[pointed - 1] : shown.at(-2));
    this.then = then ? compare : '';
    this.pointed = pointed >= 0;
    this.shownAt = last?.x ?? null;
    this.store = store;
    this.points = shown.slice(-60);
    const text = short(last?.y, this.unit);
    if (this.value.textContent !== text) this.value.textContent = text;
    this.value.title = last ? full(last.exact ?? last.y, this.unit) : '';
    this.delta(last, before, store);
    this.line();
  }

  delta(last, before, store) {
    this.change.className = 'stat-change';
    this.change.classList.toggle('strong', this.pointed);
    this.change.title = last?.x != null ? `Of the window that ends at ${clock(last.x)}` : '';
    if (!last || !store.hello?.windowed) {
      this.change.textContent = last ? 'now' : store.ready ? 'no rows yet' : '\u00a0';
      return;
    }
    const at = 'until ' + clock(last.x) + (last.open ? ', still open' : '');
    if (!before?.y || last.open) {
      this.change.textContent = at;
      return;
    }
    const percent = (last.y - before.y) / Math.abs(before.y) * 100;
    const words = this.then ? `against ${this.then.replace('m', ' min').replace('h', ' h').replace('d', ' day')} before` : at;
    this.change.textContent = `${percent > 0 ? '▲' : percent < 0 ? '▼' : '='} ${Math.abs(percent).toFixed(Math.abs(percent) < 10 ? 1 : 0)} % · ${words}`;
    this.change.title += `; ${full(before.exact ?? before.y, this.unit)} in the one that ends at ${clock(before.x)}`;
    this.change.classList.add(percent > 0 ? 'up' : percent < 0 ? 'down' : 'same');
  }

  cursor() { if (this.store?.hello?.windowed) this.draw(this.store); }

  picture() { return { canvas: this.canvas, legend: [{ color: this.page.color(1), text: this.value.textContent + ' · ' + this.change.textContent }] }; }

  line() { if (this.points) spark(this.canvas, this.points, this.page.color(1)); }
}
