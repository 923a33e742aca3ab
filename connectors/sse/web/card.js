import { kinds } from './panels/kinds.js';

// The frame around a panel: title, note, and the switch to the same rows as a
// table, which every chart has.
export class Card {
  constructor(panel, page) {
    this.panel = panel;
    this.page = page;
    this.el = document.createElement('section');
    this.el.className = `card ${kinds[panel.type] ? panel.type : 'table'}`;
    this.el.style.setProperty('--w', panel.width);
    this.el.setAttribute('aria-label', panel.title);
    const head = document.createElement('header');
    const title = document.createElement('h2');
    title.textContent = panel.title;
    this.noteEl = document.createElement('span');
    this.noteEl.className = 'note';
    head.append(title, this.noteEl);
    this.body = document.createElement('div');
    this.body.className = 'body';
    this.empty = document.createElement('p');
    this.empty.className = 'empty';
    this.empty.hidden = true;
    this.el.append(head, this.body, this.empty);
    const Kind = kinds[panel.type] ?? kinds.table;
    this.face = new Kind(panel, this, page);
    if (Kind !== kinds.table && this.face.tabled !== false) head.append(this.switch());
    this.drawn = -1;
  }

  switch() {
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'quiet';
    button.textContent = 'Table';
    button.title = 'View as table';
    button.setAttribute('aria-label', 'View as table: ' + this.panel.title);
    button.setAttribute('aria-pressed', 'false');
    button.addEventListener('click', () => this.turn(button));
    return button;
  }

  // turn shows the back (a table) or the face again.
  turn(button) {
    if (this.back) {
      this.backBody.remove();
      this.back = null;
      this.body.hidden = false;
    } else {
      this.backBody = document.createElement('div');
      this.backBody.className = 'body';
      this.body.hidden = true;
      this.body.after(this.backBody);
      const { columns, ...panel } = this.panel;
      this.back = new kinds.table(panel, { body: this.backBody, note: (t) => this.note(t) }, this.page);
    }
    button.setAttribute('aria-pressed', String(!!this.back));
    this.drawn = -1;
    this.note('');
    this.page.wake();
  }

  note(text) { if (this.noteEl.textContent !== text) this.noteEl.textContent = text; }

  // draw is called on an animation frame, with the store to show.
  draw(store) {
    const version = this.face.alwaysOn ? store.markAt : store.version;
    if (this.drawn === version) return;
    this.drawn = version;
    const bare = store.ready && store.rows.size === 0 && !this.face.alwaysOn;
    this.empty.hidden = !bare;
    if (bare) this.empty.textContent = `No rows yet in ${this.panel.view}. They appear here as soon as the pipeline writes some.`;
    this.el.classList.toggle('is-empty', bare);
    (this.back ?? this.face).draw(store);
  }
}
