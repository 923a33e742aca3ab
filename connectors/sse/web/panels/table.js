import { alike, cell, full, near, stamp } from '../format.js';
import { titleOf, unitOf } from '../layout.js';
import { columnsOf, compare, isOpen } from '../shape.js';
import { bins } from '../sketch.js';

const rowHeight = 32; // px, as in style.css
const spare = 8;      // rows drawn above and below what is seen

// All rows, sorted by a column. Only what is seen is in the page.
export class Table {
  constructor(panel, card, page) {
    this.panel = panel;
    this.card = card;
    this.page = page;
    this.unit = unitOf(panel);
    this.sort = null; // {name, down}
    this.box = document.createElement('div');
    this.box.className = 'rows';
    this.box.tabIndex = 0;
    this.box.setAttribute('role', 'region');
    this.box.setAttribute('aria-label', panel.title + ', rows');
    const table = this.table = document.createElement('table');
    this.head = document.createElement('thead');
    this.body = document.createElement('tbody');
    table.append(this.head, this.body);
    this.box.append(table);
    card.body.append(this.box);
    // Where it stands and how high it is are kept: to read them in the midst of
    // drawing would lay out anew.
    this.top = 0;
    this.height = 0;
    [this.above, this.below] = [blank(), blank()];
    this.pool = []; // rows of the page, used again
    this.box.addEventListener('scroll', () => {
      this.top = this.box.scrollTop;
      this.show();
    });
    new ResizeObserver(([e]) => {
      this.height = e.contentRect.height;
      this.show();
    }).observe(this.box);
  }

  draw(store) {
    this.store = store;
    const columns = columnsOf(store, this.panel);
    const names = columns.map((c) => c.name).join('\0');
    if (names !== this.names) {
      this.names = names;
      this.columns = columns;
      this.heads();
    }
    const sort = this.sort ?? this.usual();
    const list = [...store.rows.values()];
    if (sort) {
      list.sort((a, b) => {
        const d = compare(a[sort.name], b[sort.name]);
        return (sort.down ? -d : d) || compare(a._key, b._key);
      });
    }
    this.list = list;
    this.card.note(list.length === 1 ? '1 row' : list.length.toLocaleString() + ' rows');
    this.show();
  }

  // usual: the newest first, then by the first key column.
  usual() {
    if (this.store.hello?.windowed) return { name: 'window_end', down: true };
    if (this.store.hello?.stream) return { name: '_time', down: true };
    return this.columns.length ? { name: this.columns[0].name, down: false } : null;
  }

  heads() {
    const row = document.createElement('tr');
    for (const c of this.columns) {
      const th = document.createElement('th');
      th.scope = 'col';
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = c.name === '_time' ? 'Time' : titleOf(c.name);
      button.addEventListener('click', () => {
        const numeric = c.type !== 'string';
        this.sort = this.sort?.name === c.name ? { name: c.name, down: !this.sort.down } : { name: c.name, down: numeric };
        this.draw(this.store);
      });
      th.className = side(c.type);
      th.append(button);
      row.append(th);
    }
    this.head.replaceChildren(row);
  }

  // show fills in the rows that are seen; two empty rows stand for the others.
  show() {
    if (!this.list) return;
    const sort = this.sort ?? this.usual();
    this.columns.forEach((c, i) => {
      const th = this.head.firstChild.children[i];
      if (c.name === sort?.name) th.setAttribute('aria-sort', sort.down ? 'descending' : 'ascending');
      else th.removeAttribute('aria-sort');
    });
    const from = Math.max(0, Math.min(this.list.length - 1, Math.floor(this.top / rowHeight) - spare));
    const to = Math.min(this.list.length, from + Math.ceil((this.height || 320) / rowHeight) + 2 * spare);
    this.table.setAttribute('aria-rowcount', String(this.list.length + 1));
    // Of numbers that stand under each other the points do, too.
    const seen = this.list.slice(from, to);
    this.write = new Map(this.columns.filter((c) => c.type === 'double').map((c) => [c.name, alike(seen.map((r) => r[c.name]), c.name === this.panel.value ? this.unit : '', true)]));
    this.today = this.page.time();
    const rows = [gap(this.above, from)];
    for (let i = from; i < to; i++) rows.push(this.row(this.pool[i - from] ??= document.createElement('tr'), this.list[i], i));
    rows.push(gap(this.below, this.list.length - to));
    const want = rows.filter(Boolean), has = this.body.children;
    if (want.length !== has.length || want.some((tr, i) => tr !== has[i])) this.body.replaceChildren(...want);
  }

  // row fills in a row of the page with one of the view.
  row(tr, row, i) {
    set(tr, 'aria-rowindex', String(i + 2));
    const name = this.store.hello?.windowed && isOpen(row, this.store.watermark) ? 'open' : '';
    if (tr.className !== name) tr.className = name;
    while (tr.childElementCount > this.columns.length) tr.lastChild.remove();
    this.columns.forEach((c, n) => {
      let td = tr.children[n];
      if (!td) tr.append(td = document.createElement('td'));
      const { text, title } = this.cell(row[c.name], c);
      if (td.textContent !== text) td.textContent = text;
      const kind = c.name === 'window_end' ? 'when end' : side(c.type);
      if (td.className !== kind) td.className = kind;
      set(td, 'title', title);
    });
    return tr;
  }

  // cell writes a value. Some ints only name something: they have no commas.
  cell(v, c) {
    const list = Array.isArray(v) && v[0]?.le !== undefined ? bins(v) : null;
    if (list) return { text: `${list.reduce((n, b) => n + b.count, 0).toLocaleString()} values in ${list.length} bins`, title: null };
    if (c.type === 'timestamp' && v != null) return { text: near(v, this.today), title: stamp(v) };
    if (c.type === 'double' && typeof v === 'number') return { text: this.write.get(c.name)(v), title: full(v) };
    const names = c.type === 'int' && /(^|_)(id|number|no)$/.test(c.name) && v != null;
    const text = names ? String(v) : cell(v, c.type, c.name === this.panel.value ? this.unit : '');
    return { text, title: text.length > 24 ? text : null };
  }
}

function set(el, name, value) {
  if (value == null) {
    if (el.hasAttribute(name)) el.removeAttribute(name);
  } else if (el.getAttribute(name) !== value) el.setAttribute(name, value);
}

const side = (type) => type === 'int' || type === 'double' ? 'num' : type === 'timestamp' ? 'when' : '';

// gap is an empty row that stands for n others.
function gap(tr, n) {
  if (n <= 0) return null;
  const height = n * rowHeight + 'px';
  if (tr.firstChild.style.height !== height) tr.firstChild.style.height = height;
  return tr;
}

function blank() {
  const tr = document.createElement('tr');
  tr.setAttribute('aria-hidden', 'true');
  const td = document.createElement('td');
  td.className = 'gap';
  tr.append(td);
  return tr;
}
