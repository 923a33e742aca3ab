// The truth bar: may I believe what I see? Colour, mark and words together,
// and read out only when the words change. What it says is judge.js's.

import { clock, since } from './format.js';
import { because, completeness } from './judge.js';
import { element } from './menu.js';

const words = {
  live: ['●', 'live'],
  connecting: ['◌', 'connecting'],
  'catching up': ['◔', 'catching up'],
  reconnecting: ['◌', 'reconnecting'],
  full: ['◌', 'server full'],
  stale: ['▲', 'stale'],
  paused: ['❚❚', 'paused'],
  replay: ['↺', 'replay'],
  'signed out': ['✕', 'signed out'],
  offline: ['✕', 'offline'],
  closed: ['◌', 'asleep'],
};

const meanings = {
  live: 'Numbers come as they are made.',
  connecting: 'The first numbers are on their way.',
  'catching up': 'Connected; the numbers are on their way.',
  paused: 'You stopped it. What comes meanwhile is kept and shown at once when you resume.',
  replay: 'You see what was. “Back to live” shows the present.',
  'signed out': 'Your session is over. Sign in to go on.',
  closed: 'Nobody looked, so the stream was let go. It goes on at once.',
};

export class TruthBar {
  constructor(el, why) {
    this.el = el;
    this.why = why;
    this.mark = element('i', { 'aria-hidden': 'true' });
    this.word = element('span');
    this.count = element('span', { class: 'count', 'aria-hidden': 'true' }); // not read out: it changes all the time
    this.pill = element('span', { class: 'pill', role: 'status' }, this.mark, this.word, this.count);
    this.facts = element('dl', { class: 'facts' });
    this.ask = element('button', { type: 'button', class: 'quiet ask', text: '?', title: 'What do these mean?', 'aria-label': 'What do these mean?', on: { click: () => this.explain() } });
    el.append(this.pill, this.facts, this.ask);
    this.boxes = new Map();
  }

  // show takes judge's answer, what a paused page holds back, and, of a page
  // that shows the past, {at, speed, exact, playing}.
  show(t, { paused, pausedAt, held, past, now }) {
    const state = past ? 'replay' : paused && t.state === 'live' ? 'paused' : t.state;
    if (this.state !== state) {
      this.state = state;
      this.pill.className = 'pill ' + state.replace(' ', '-');
      [this.mark.textContent, this.word.textContent] = words[state];
    }
    const news = t.age ? 'numbers ' + since(t.age) + ' old' : '';
    const left = Math.ceil((t.retryAt - now) / 1000);
    const again = [left > 0 ? `again in ${left} s` : '', news].filter(Boolean).join(' · ');
    text(this.count, {
      stale: since(t.age),
      paused: clock(pausedAt) + (held ? ` · +${held.toLocaleString()} ${held === 1 ? 'update' : 'updates'}` : ''),
      replay: past ? clock(past.at) + (past.playing ? ` ×${past.speed}` : '') : '',
      reconnecting: again, full: again,
      offline: news, 'signed out': news,
    }[state] ?? '');
    this.reason = past ? '' : because(t);
    this.told = completeness(t, { clock, past: !!past });
    for (const fact of this.told) this.set(fact);
    text(this.why, this.reason);
    this.why.hidden = !this.reason;
  }

  set({ name, value, shown, warn, text: meaning }) {
    let box = this.boxes.get(name);
    if (!box) {
      box = { el: element('div', { class: name === 'watching' ? 'after' : name === 'complete to' ? 'first' : null, title: meaning }, element('dt', { text: name })), dd: element('dd') };
      box.el.append(box.dd);
      this.facts.append(box.el);
      this.boxes.set(name, box);
    }
    if (box.el.hidden === !!shown) box.el.hidden = !shown;
    text(box.dd, value);
    box.el.classList.toggle('warn', !!warn);
  }

  // explain says all of it in sentences.
  explain() {
    if (document.querySelector('dialog.explain')) return;
    const rows = [{ name: words[this.state][1], value: this.count.textContent, text: this.reason || meanings[this.state] || '' }, ...(this.told ?? []).filter((f) => f.shown)];
    const close = element('button', { type: 'button', text: 'Close' });
    const dialog = element('dialog', { class: 'explain', 'aria-labelledby': 'explain-title' },
      element('h2', { id: 'explain-title', text: 'May I believe these numbers?' }),
      element('dl', {}, ...rows.flatMap((r) => [element('dt', { text: r.name }), element('dd', {}, r.value ? element('b', { text: r.value }) : null, element('span', { text: r.text }))])), close);
    close.addEventListener('click', () => dialog.close());
    dialog.addEventListener('close', () => dialog.remove());
    dialog.addEventListener('click', (e) => { if (e.target === dialog) dialog.close(); });
    document.body.append(dialog);
    dialog.showModal();
  }
}

function text(el, value) { if (el.textContent !== value) el.textContent = value; }
