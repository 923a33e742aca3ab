// The index of dashboards.

import { element } from './menu.js';
import { titleOf } from './layout.js';
import { Session } from './session.js';
import { themeButton } from './theme.js';

themeButton(document.getElementById('theme'));

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

async function load() {
  const answer = await fetch('/v1/dashboards').catch(() => null);
  if (answer?.status === 401) return say('Sign in to see the dashboards.', session.link());
  if (!answer?.ok) {
    say('The server cannot be reached; trying again.');
    setTimeout(load, 2000 + Math.random() * 3000);
    return;
  }
  const boards = await answer.json();
  if (boards.length) say();
  else say('No dashboards yet. A pipeline with an sse sink has one.');
  document.getElementById('boards').replaceChildren(...boards.map((b) => element('li', {},
    element('a', { class: 'card', href: '/d/' + encodeURIComponent(b.pipeline) },
      element('h2', { text: b.title }), element('p', { text: b.description ?? b.pipeline }),
      element('p', { class: 'tags' }, ...b.views.map((v) => element('span', { text: titleOf(v.sink) })))))));
}

// The operators' page may be on another address, or not for everybody.
async function operators() {
  const answer = await fetch('/v1/ops', { method: 'HEAD' }).catch(() => null);
  document.getElementById('ops').hidden = !answer?.ok;
}

load();
session.check();
operators();
