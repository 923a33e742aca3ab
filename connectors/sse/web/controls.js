// The tools above the panels: filter, range, comparison, pause, the menu. They
// change what the page shows (page.change), never rows.

import { csv, fileName, json, save } from './export.js';
import { suggestions } from './filter.js';
import { help } from './help.js';
import { copy, element, menu } from './menu.js';
import { goesBack } from './shape.js';
import { shifts } from './url.js';

export class Controls {
  constructor(page) {
    this.page = page;
    this.filter = new FilterBox(document.getElementById('filter'), page);
    this.range = [...document.querySelectorAll('#range input')];
    for (const input of this.range) input.addEventListener('change', () => page.change({ range: input.value }));
    this.compare = document.getElementById('compare');
    this.compare.addEventListener('change', () => page.change({ compare: this.compare.value }));
    this.pause = document.getElementById('pause');
    this.pause.addEventListener('click', () => page.pause(!page.paused));
    document.getElementById('who').append(menu('Page menu', '⋯', () => this.items(), 'round'));
    document.addEventListener('keydown', (e) => this.key(e));
  }

  // show puts the tools where the page's state is.
  show() {
    const { page } = this;
    for (const input of this.range) input.checked = input.value === page.state.range;
    this.compare.value = page.state.compare;
    this.compare.classList.toggle('on', page.state.compare !== '');
    const { on, playing } = page.past ?? {};
    this.pause.textContent = on ? playing ? 'Stop' : 'Play' : page.paused ? 'Resume' : 'Pause';
    this.pause.setAttribute('aria-pressed', String(!on && page.paused));
    this.filter.show();
  }

  // offer enables the comparisons that the views go back far enough for.
  offer() {
    const stores = this.page.stores();
    for (const option of this.compare.options) {
      if (!option.value) continue;
      option.disabled = option.value !== this.page.state.compare && !stores.some((s) => goesBack(s, shifts[option.value]));
      option.title = option.disabled ? 'The views here do not keep so long a history (yet)' : '';
    }
  }

  items() {
    const { page } = this;
    const name = page.pipeline;
    const files = page.stores().flatMap((store) => store.ready ? [store] : []);
    return [
      { text: 'Copy link to this view', do: () => copy(page.link(), 'Link') },
      { text: 'Copy link for embedding', do: () => copy(page.link({ kiosk: true }), 'Link') },
      { text: page.state.kiosk ? 'Show the tools' : 'Kiosk: panels only', hint: 'k', do: () => page.change({ kiosk: !page.state.kiosk }) },
      null,
      ...files.map((store) => ({ text: `Rows of ${store.hello.view.split('/').at(-1)} as CSV`, do: () => save(fileName([name, store.hello.view.split('/').at(-1)], page.now(), 'csv'), csv(store), 'text/csv') })),
      { text: 'All rows as JSON', do: () => save(fileName([name], page.now(), 'json'), '[' + files.map((s) => json(s, page.now())).join(',') + ']', 'application/json') },
      null,
      { text: 'Times in UTC', checked: page.state.utc, do: () => page.change({ utc: !page.state.utc }) },
      { text: page.theme.label, do: () => page.theme.next() },
      { text: 'Full screen', do: () => document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen?.() },
      null,
      ...page.session.items(),
      ...page.notify.items(),
      page.operator ? { text: 'Operators’ page', href: '/ops' } : null,
      { text: 'All dashboards', href: '/' },
      { text: 'Keys and marks', hint: '?', do: () => help() },
    ].filter((item, i, all) => item || (all[i - 1] && all[i + 1]));
  }

  key(e) {
    const { page } = this;
    if (e.ctrlKey || e.metaKey || e.altKey || e.defaultPrevented) return;
    const typing = e.target.closest?.('input, select, textarea, [role=menu], dialog');
    if (typing) return;
    if (e.key === ' ' && e.target.closest?.('button, a, summary')) return;
    const card = page.cards.find((c) => c.el.contains(document.activeElement)) ?? (page.cards.length === 1 ? page.cards[0] : null);
    const keys = {
      ' ': () => page.pause(!page.paused),
      '/': () => this.filter.input.focus(),
      1: () => page.change({ range: '5m' }), 2: () => page.change({ range: '15m' }), 3: () => page.change({ range: '1h' }), 0: () => page.change({ range: '' }),
      k: () => page.change({ kiosk: !page.state.kiosk }),
      l: () => page.past.leave(),
      t: () => card?.turn(), f: () => card?.full(), w: () => card?.why(),
      '?': () => help(),
    };
    if (!Object.hasOwn(keys, e.key)) return;
    e.preventDefault();
    keys[e.key]();
  }
}

// FilterBox is the field for keys, with completion: a combobox and its chips.
class FilterBox {
  constructor(el, page) {
    this.page = page;
    this.chips = element('span', { class: 'chips' });
    this.input = element('input', { type: 'search', role: 'combobox', 'aria-expanded': 'false', 'aria-autocomplete': 'list', 'aria-controls': 'matches', 'aria-label': 'Filter by key', placeholder: 'Filter by key', autocomplete: 'off', spellcheck: 'false' });
    this.list = element('ul', { id: 'matches', role: 'listbox', class: 'menu', 'aria-label': 'Keys', hidden: true });
    el.append(this.chips, this.input, this.list);
    this.at = -1;
    this.input.addEventListener('input', () => this.suggest());
    this.input.addEventListener('focus', () => this.suggest());
    this.input.addEventListener('blur', () => setTimeout(() => this.close(), 150));
    this.input.addEventListener('keydown', (e) => this.key(e));
  }

  show() {
    const { keys } = this.page.state;
    this.chips.replaceChildren(...keys.map((k) => element('button', {
      type: 'button', class: 'chip', title: 'Remove', 'aria-label': 'Remove the filter ' + k,
      on: { click: () => { this.page.change({ keys: keys.filter((x) => x !== k) }); this.input.focus(); } },
    }, element('span', { text: k }), element('i', { text: '×', 'aria-hidden': 'true' }))));
    this.input.placeholder = keys.length ? 'and…' : 'Filter by key  /';
  }

  suggest() {
    this.found = suggestions(this.page.everything(), this.input.value, this.page.state.keys);
    this.at = -1;
    this.list.replaceChildren(...this.found.map((f, i) => element('li', {
      role: 'option', id: 'match' + i, 'aria-selected': 'false', on: { pointerdown: (e) => { e.preventDefault(); this.add(f.term); } },
    }, element('span', { text: f.text }), element('small', { text: f.column }))));
    this.list.hidden = !this.found.length;
    this.input.setAttribute('aria-expanded', String(!this.list.hidden));
  }

  key(e) {
    if (e.key === 'Escape') {
      if (this.list.hidden && !this.input.value) this.input.blur();
      this.input.value = '';
      this.close();
    } else if (e.key === 'Enter') {
      const term = this.found?.[this.at]?.term ?? (this.input.value.trim() ? this.found?.length === 1 ? this.found[0].term : this.input.value.trim() : '');
      if (term) this.add(term);
    } else if (e.key === 'Backspace' && !this.input.value && this.page.state.keys.length) {
      this.page.change({ keys: this.page.state.keys.slice(0, -1) });
    } else if (e.key === 'ArrowDown' || e.key === 'ArrowUp') {
      if (!this.found?.length) return;
      e.preventDefault();
      const n = this.found.length;
      this.at = e.key === 'ArrowDown' ? (this.at + 1) % n : (this.at + n - (this.at < 0 ? 0 : 1)) % n;
      [...this.list.children].forEach((li, i) => li.setAttribute('aria-selected', String(i === this.at)));
      this.list.children[this.at].scrollIntoView({ block: 'nearest' });
      this.input.setAttribute('aria-activedescendant', 'match' + this.at);
    }
  }

  add(term) {
    this.input.value = '';
    this.page.change({ keys: [...new Set([...this.page.state.keys, term])] });
    this.suggest();
    this.close();
  }

  close() {
    this.list.hidden = true;
    this.input.setAttribute('aria-expanded', 'false');
    this.input.removeAttribute('aria-activedescendant');
  }
}
