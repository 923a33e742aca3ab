import { csv, fileName, json, png, save } from './export.js';
import { alike, clock, full, since, stamp } from './format.js';
import { unitOf } from './layout.js';
import { copy, element, menu } from './menu.js';
import { kinds } from './panels/kinds.js';
import { compare, keysOf, labelOf, why } from './shape.js';

// The frame around a panel: title, note, the switch to the same rows as a
// table, which every chart has, and a menu for all else.
export class Card {
  constructor(panel, page) {
    this.panel = panel;
    this.page = page;
    const Kind = kinds[panel.type] ?? kinds.table;
    this.el = element('section', { class: `card ${kinds[panel.type] ? panel.type : 'table'}`, id: panel.id, 'aria-label': panel.title });
    this.el.style.setProperty('--w', panel.width);
    this.noteEl = element('span', { class: 'note' });
    this.head = element('header', {}, element('h2', { text: panel.title, title: panel.title }), this.noteEl);
    this.body = element('div', { class: 'body' });
    this.empty = element('p', { class: 'empty', hidden: true });
    this.el.append(this.head, this.body, this.empty);
    this.face = new Kind(panel, this, page);
    this.tabled = Kind !== kinds.table && this.face.tabled !== false;
    if (this.tabled) {
      this.button = element('button', { type: 'button', class: 'quiet', text: 'Table', title: 'View as table', 'aria-label': 'View as table: ' + panel.title, 'aria-pressed': 'false', on: { click: () => this.turn() } });
      this.head.append(this.button);
    }
    this.head.append(menu('More: ' + panel.title, '⋯', () => this.items(), 'quiet more'));
    this.drawn = -1;
    this.cost = 0; // ms that the last draw took
    this.next = 0; // when it may be drawn again
  }

  items() {
    const { panel, page, store } = this;
    const name = (ending) => fileName([page.pipeline, panel.title], page.now(), ending);
    const path = store?.hello ? page.streamOf(panel.view).asked : null;
    return [
      this.face.alwaysOn ? null : { text: 'Why this number', hint: 'w', do: () => this.why() },
      this.tabled ? { text: 'View as table', hint: 't', checked: !!this.back, do: () => this.turn() } : null,
      { text: this.frozen ? 'Let it move again' : 'Freeze this panel', checked: !!this.frozen, do: () => this.freeze() },
      { text: document.fullscreenElement === this.el ? 'Leave full screen' : 'Full screen', hint: 'f', do: () => this.full() },
      null,
      store ? { text: 'Rows as CSV', do: () => save(name('csv'), csv(store), 'text/csv') } : null,
      store ? { text: 'Rows as JSON', do: () => save(name('json'), json(store, page.now()), 'application/json') } : null,
      this.face.picture ? { text: 'Picture as PNG', do: () => this.picture(name('png')) } : null,
      null,
      { text: 'Copy link to this panel', do: () => copy(page.link({ panel: panel.id }), 'Link') },
      { text: 'Copy link for embedding', do: () => copy(page.link({ panel: panel.id, kiosk: true }), 'Link') },
      path ? { text: 'Copy as curl', do: () => copy(`curl -N '${new URL(path, location.href)}'`, 'Command') } : null,
    ].filter((item, i, all) => item || (all[i - 1] && all[i + 1]));
  }

  // turn shows the back (a table) or the face again.
  turn(on = !this.back, quiet = false) {
    if (!this.tabled || on === !!this.back) return;
    if (!on) {
      this.backBody.remove();
      this.back = null;
      this.body.hidden = false;
    } else {
      this.backBody = element('div', { class: 'body' });
      this.body.hidden = true;
      this.body.after(this.backBody);
      const { columns, ...panel } = this.panel;
      this.back = new kinds.table(panel, { body: this.backBody, note: (t) => this.note(t) }, this.page);
    }
    this.button.setAttribute('aria-pressed', String(on));
    this.drawn = -1;
    this.next = 0;
    this.note('');
    if (!quiet) this.page.turned();
    this.page.wake();
  }

  freeze() {
    this.frozen = this.frozen ? null : this.store.frozen();
    this.el.classList.toggle('frozen', !!this.frozen);
    this.drawn = -1;
    this.page.wake();
  }

  full() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.el.requestFullscreen?.();
  }

  async picture(name) {
    const { canvas, legend } = this.face.picture();
    const foot = `${this.page.title} · complete to ${stamp(this.store?.watermark)} · ${location.host}`;
    save(name, await png(this.panel.title, canvas, legend, foot, getComputedStyle(this.el)), 'image/png');
  }

  // why says what the number is made of: its window, and the rows in it.
  why() {
    const { panel, store } = this;
    if (!store) return;
    const unit = unitOf(panel);
    const w = why(store, panel, this.face.shownAt ?? this.page.pointed ?? null);
    const facts = [];
    if (w.window) {
      facts.push(['Window', `${stamp(w.window.start)} to ${clock(w.window.end)}`]);
      facts.push(['State', w.window.open ? `still open: closes when “complete to” passes ${clock(w.window.end)}` : 'closed: only late rows change it']);
    } else facts.push(['Window', 'none: the value of each row as it is now']);
    facts.push(['Complete to', stamp(store.watermark)]);
    if (panel.value) {
      const how = { sum: 'sum', avg: 'mean', min: 'least', max: 'greatest', last: 'last' }[w.how];
      facts.push(['Value', w.rows.length === 1 ? `${panel.value} of one row` : `${panel.value} of ${w.rows.length.toLocaleString()} rows; where they are put together: the ${how}`]);
    } else facts.push(['Rows', w.rows.length.toLocaleString()]);
    for (const c of w.counts) facts.push([`Sum of ${c.name}`, full(c.sum)]);
    const m = store.mark;
    if (m) {
      facts.push(['Behind', m.idle && !m.lag_records ? 'nothing' : since(m.lag_ms) + (m.lag_records ? `, ${full(m.lag_records)} rows` : '')]);
      facts.push(['Late, left out', full(m.late) + ' rows in all']);
      if (m.dropped) facts.push(['Dropped', full(m.dropped) + ' rows left out or set aside as dead letters']);
      if (m.holding) facts.push(['Held back by', m.holding]);
    }
    facts.push(['From', topicOf(panel.view)]);
    const dl = element('dl', {}, ...facts.flatMap(([k, v]) => [element('dt', { text: k }), element('dd', { text: v })]));
    const shown = [...w.rows].sort((a, b) => compare(b[panel.value], a[panel.value])).slice(0, 12);
    const names = keysOf(store.hello);
    const write = alike(shown.map((r) => r[panel.value]), unit, true);
    const table = panel.value && shown.length ? element('table', {},
      element('thead', {}, element('tr', {}, ...[...names, panel.value].map((n) => element('th', { text: n, scope: 'col', class: n === panel.value ? 'num' : null })))),
      element('tbody', {}, ...shown.map((r) => element('tr', {}, ...names.map((n) => element('td', { text: labelOf(r[n]) })),
        element('td', { class: 'num', text: typeof r[panel.value] === 'object' ? `${r[panel.value]?.length ?? 0} bins` : write(r[panel.value]) }))))) : null;
    const rest = w.rows.length - shown.length;
    const close = element('button', { type: 'button', text: 'Close' });
    const dialog = element('dialog', { class: 'why', 'aria-labelledby': 'why-title' },
      element('h2', { id: 'why-title', text: 'Why this number: ' + panel.title }), dl, table,
      rest > 0 && table ? element('p', { class: 'note', text: `and ${rest.toLocaleString()} more rows` }) : null, close);
    close.addEventListener('click', () => dialog.close());
    dialog.addEventListener('close', () => dialog.remove());
    dialog.addEventListener('click', (e) => { if (e.target === dialog) dialog.close(); });
    document.body.append(dialog);
    dialog.showModal();
  }

  note(text, strong = false) {
    if (this.noteEl.textContent !== text) this.noteEl.textContent = text;
    if (this.noteEl.title !== text) this.noteEl.title = text; // it may be cut short
    this.noteEl.classList.toggle('strong', strong);
  }

  // draw is called on an animation frame, with the store to show.
  draw(store) {
    store = this.frozen ?? store;
    this.store = store;
    const version = this.face.alwaysOn ? store.markAt : store.version + (store.seen?.keep ? 0.5 : 0);
    if (this.drawn === version && this.drawnStore === store) return;
    const now = performance.now();
    if (now < this.next) { // a dear one is drawn less often
      this.later ??= setTimeout(() => {
        this.later = null;
        this.page.wake();
      }, this.next - now);
      return;
    }
    this.drawn = version;
    this.drawnStore = store;
    this.seen ||= store.ready; // it has shown rows once
    const bare = store.ready && store.rows.size === 0 && !this.face.alwaysOn;
    this.empty.hidden = !bare;
    if (bare) this.empty.textContent = this.page.emptyText(this.panel.view);
    this.el.classList.toggle('is-empty', bare);
    (this.back ?? this.face).draw(store);
    this.cost = performance.now() - now;
    this.next = this.cost > 4 ? now + this.cost * 12 : 0;
  }
}

// topicOf is where a view's rows are kept.
export const topicOf = (view) => `topic ${view.replace('/', '.')}.view`;
