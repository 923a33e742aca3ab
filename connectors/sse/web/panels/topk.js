import { alike, clock, full } from '../format.js';
import { unitOf } from '../layout.js';
import { topk } from '../shape.js';

// A ranking. Values change at once; places change at most once a second and
// never under the pointer or the focus, so that a row can be read and hit.
export class TopK {
  constructor(panel, card, page) {
    this.panel = panel;
    this.page = page;
    this.card = card;
    this.unit = unitOf(panel);
    this.rows = new Map();
    this.list = document.createElement('ol');
    this.list.className = 'topk';
    this.list.tabIndex = 0;
    this.list.setAttribute('aria-label', panel.title);
    card.body.append(this.list);
    this.moved = 0;
  }

  // draw shows the newest window, or the one that is pointed at on a chart.
  draw(store) {
    this.store = store;
    const pointed = store.hello?.windowed ? this.page.pointed : null;
    let shape = topk(store, this.panel, this.panel.k ?? this.panel.top ?? 10, pointed);
    if (pointed != null && !shape.items.length) shape = topk(store, this.panel, this.panel.k ?? this.panel.top ?? 10);
    const { items, at, rest } = shape;
    this.shownAt = at;
    this.card.note((at ? 'until ' + clock(at) : '') + (rest ? `${at ? ' · ' : ''}and ${rest} more` : ''), pointed != null && at === pointed);
    const held = this.list.matches(':hover, :focus-within') || this.page.now() - this.moved < 1000;
    const order = held ? this.keepPlaces(items) : items;
    if (held && order.map((i) => i.name).join() !== items.map((i) => i.name).join()) this.later();
    if (!held && order.map((i) => i.name).join('\0') !== this.names) this.moved = this.page.now();
    this.place(order);
  }

  // later draws once more, when places may change.
  later() {
    this.timer ??= setTimeout(() => {
      this.timer = null;
      this.page.wakeCard(this.card);
    }, 1000);
  }

  // keepPlaces gives the rows as they stand, with new values; who is gone
  // stays greyed until places may change.
  keepPlaces(items) {
    const by = new Map(items.map((i) => [i.name, i]));
    const stay = [...this.rows.keys()].map((name) => by.get(name) ?? { name, value: null });
    return stay.length ? stay : items;
  }

  place(items) {
    const names = items.map((i) => i.name).join('\0');
    const moved = names !== this.names;
    // To ask where rows stand costs a layout: only where they will move.
    const was = moved && !this.page.still ? new Map([...this.rows].map(([name, r]) => [name, r.li.offsetTop])) : null;
    const max = Math.max(...items.map((i) => Math.abs(i.value ?? 0)), 0) || 1;
    const rows = new Map(), write = alike(items.map((i) => i.value), this.unit);
    items.forEach((item, i) => {
      const row = this.rows.get(item.name) ?? this.row(item.name);
      rows.set(item.name, row);
      text(row.rank, String(i + 1));
      text(row.value, item.value == null ? '–' : write(item.value));
      row.value.title = full(item.exact ?? item.value, this.unit);
      const width = Math.max(0.5, Math.abs(item.value ?? 0) / max * 100).toFixed(2) + '%';
      if (row.width !== width) row.bar.style.width = row.width = width;
      row.li.classList.toggle('gone', item.value == null);
    });
    if (moved) {
      this.names = names;
      this.list.replaceChildren(...[...rows.values()].map((r) => r.li));
    }
    this.rows = rows;
    if (!was) return;
    for (const [name, row] of rows) {
      const from = was.get(name), to = row.li.offsetTop;
      if (from != null && from !== to) row.li.animate([{ transform: `translateY(${from - to}px)` }, { transform: 'none' }], { duration: 200, easing: 'ease-out' });
    }
  }

  cursor() { if (this.store) this.draw(this.store); }

  row(name) {
    const li = document.createElement('li');
    const rank = document.createElement('span');
    rank.className = 'rank';
    const label = document.createElement('span');
    label.className = 'name';
    label.textContent = name;
    label.title = name;
    const track = document.createElement('span');
    track.className = 'track';
    const bar = document.createElement('i');
    track.append(bar);
    const value = document.createElement('b');
    li.append(rank, label, value, track);
    return { li, rank, value, bar };
  }
}

function text(el, value) { if (el.textContent !== value) el.textContent = value; }
