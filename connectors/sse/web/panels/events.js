import { cell, clock, day } from '../format.js';
import { element } from '../menu.js';
import { columnsOf } from '../shape.js';

const most = 200; // rows in the list: older ones are in the table

// The newest rows as they come, newest on top. Under the pointer or the focus
// the list stands still, and says how many wait.
export class Events {
  constructor(panel, card, page) {
    this.panel = panel;
    this.card = card;
    this.page = page;
    this.more = element('button', { type: 'button', class: 'waiting', hidden: true, on: { click: () => this.renew() } });
    this.list = element('ol', { class: 'feed', tabindex: '0', 'aria-label': panel.title + ', newest first' });
    this.list.addEventListener('pointerleave', () => this.page.wakeCard(this.card));
    card.body.append(this.more, this.list);
    this.top = null; // the newest row shown
  }

  draw(store) {
    this.store = store;
    const windowed = store.hello?.windowed;
    const time = (r) => (windowed ? r.window_end : r._time) ?? 0;
    // The newest change is last in the store; rows of a stream carry their time.
    let rows = [...store.rows.values()].reverse();
    if (windowed || store.hello?.stream) rows.sort((a, b) => time(b) - time(a));
    this.all = rows.slice(0, most);
    this.card.note(rows.length === 1 ? '1 row' : rows.length.toLocaleString() + ' rows');
    const still = this.list.matches(':hover, :focus-within') && this.list.scrollTop > 0 || this.list.matches(':focus-within');
    if (!still || !this.list.childElementCount) return this.renew();
    const waiting = this.all.findIndex((r) => r._key === this.top);
    const n = waiting < 0 ? this.all.length : waiting;
    this.more.hidden = n === 0;
    this.more.textContent = `${n}${waiting < 0 ? '+' : ''} new`;
  }

  renew() {
    const focused = document.activeElement === this.more;
    this.more.hidden = true;
    const columns = columnsOf(this.store, this.panel).filter((c) => c.name !== '_time' && c.name !== 'window_end');
    const names = columns.map((c) => c.name).join('\0');
    const was = names === this.names ? this.items : null;
    this.names = names;
    const fresh = this.top;
    let isNew = fresh != null && !this.page.still;
    this.items = new Map();
    for (const row of this.all) {
      if (row._key === fresh) isNew = false;
      const old = was?.get(row._key);
      const li = old?.row === row ? old.li : this.row(row, columns);
      if (isNew && !old) li.classList.add('fresh');
      this.items.set(row._key, { row, li });
    }
    this.top = this.all[0]?._key ?? null;
    this.list.replaceChildren(...[...this.items.values()].map((i) => i.li));
    if (focused) this.list.focus();
  }

  row(row, columns) {
    const t = row._time ?? row.window_end;
    return element('li', {},
      t == null ? null : element('time', { datetime: new Date(t).toISOString(), title: day(t), text: clock(t) }),
      element('span', {}, ...columns.flatMap((c) => {
        if (row[c.name] == null) return [];
        const text = c.type === 'int' && /(^|_)(id|number|no)$/.test(c.name) ? String(row[c.name]) : cell(row[c.name], c.type, '');
        return [element('span', { class: 'pair' }, element('small', { text: c.name }), element('b', { text, title: text.length > 40 ? text : null }))];
      })));
  }
}
