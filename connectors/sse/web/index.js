// The index of dashboards: what there is, and how far each is.

import { clock, since } from './format.js';
import { element } from './menu.js';
import { titleOf } from './layout.js';
import { Session } from './session.js';
import { staleAfter } from './judge.js';
import { themeButton } from './theme.js';

const every = 5000; // ms

themeButton(document.getElementById('theme'));
document.getElementById('boards-link').setAttribute('aria-current', 'page');

const session = new Session(() => {
  document.getElementById('session')?.remove();
  const link = session.name
    ? element('button', { id: 'session', type: 'button', text: 'Sign out ' + session.name, on: { click: () => session.leave() } })
    : Object.assign(session.link(), { id: 'session' });
  document.getElementById('who').append(link);
});

function say(...parts) {
  const el = document.getElementById('message');
  el.replaceChildren(...parts.map((p) => typeof p === 'string' ? element('span', { text: p }) : p));
  el.hidden = !parts.length;
}

// Board is one dashboard's card.
class Board {
  constructor(b) {
    this.views = b.views;
    this.pill = element('span', { class: 'pill', text: '…' });
    this.how = element('span', { class: 'note' });
    this.el = element('li', {}, element('a', { class: 'card', href: '/d/' + encodeURIComponent(b.pipeline) },
      element('h2', { text: b.title }), element('p', { text: b.description || `Pipeline ${b.pipeline}` }),
      element('p', { class: 'tags' }, ...b.views.map((v) => element('span', { text: titleOf(v.sink) }))),
      element('p', { class: 'how' }, this.pill, this.how)));
  }

  // ask finds out how far the views are: the oldest news counts.
  async ask() {
    const found = await Promise.all(this.views.map((v) => fetch(`/v1/views/${encodeURIComponent(v.pipeline)}/${encodeURIComponent(v.sink)}?limit=1`, { cache: 'no-store' })
      .then((a) => a.ok ? a.json() : null, () => null)));
    const all = found.map((f) => f?.status).filter(Boolean);
    const marks = all.map((s) => s.watermark).filter((w) => w != null);
    const age = Math.max(0, ...all.map((s) => s.age_ms));
    const [state, word] = !this.views.length ? ['', '○ no views yet'] : all.length < this.views.length ? ['reconnecting', '◌ not answering'] : age > staleAfter ? ['stale', '▲ stale ' + since(age)] : ['live', '● live'];
    this.pill.className = 'pill ' + state;
    if (this.pill.textContent !== word) this.pill.textContent = word;
    this.how.textContent = all.length && all.every((s) => s.ended) ? 'complete to the end' : marks.length ? 'complete to ' + clock(Math.min(...marks)) : '';
  }
}

let boards = [];

async function load() {
  const answer = await fetch('/v1/dashboards').catch(() => null);
  if (answer?.status === 401) return say('Sign in to see the dashboards.', session.link());
  if (!answer?.ok) {
    say('The server cannot be reached; trying again.');
    setTimeout(load, 2000 + Math.random() * 3000);
    return;
  }
  boards = (await answer.json()).map((b) => new Board(b));
  if (boards.length) say();
  else say('No dashboards yet. A pipeline with an sse sink has one.');
  document.getElementById('content').replaceChildren(element('ul', { class: 'boards' }, ...boards.map((b) => b.el)));
  ask();
}

async function ask() {
  if (!document.hidden) await Promise.all(boards.map((b) => b.ask()));
  setTimeout(ask, every);
}

// The operators' page may be on another address, or not for everybody.
async function operators() {
  const answer = await fetch('/v1/ops', { method: 'HEAD' }).catch(() => null);
  document.getElementById('ops-link').hidden = !answer?.ok;
}

load();
session.check();
operators();
