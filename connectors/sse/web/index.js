// The index of dashboards.

import { themeButton } from './theme.js';

themeButton(document.getElementById('theme'));

async function load() {
  const list = document.getElementById('boards');
  const message = document.getElementById('message');
  const answer = await fetch('/v1/dashboards').catch(() => null);
  if (!answer?.ok) {
    message.textContent = 'The server cannot be reached; trying again.';
    message.hidden = false;
    setTimeout(load, 2000 + Math.random() * 3000);
    return;
  }
  const boards = await answer.json();
  message.hidden = boards.length > 0;
  if (!boards.length) message.textContent = 'No dashboards yet. A pipeline with an sse sink has one.';
  list.replaceChildren(...boards.map((b) => {
    const li = document.createElement('li');
    const a = document.createElement('a');
    a.className = 'card';
    a.href = '/d/' + encodeURIComponent(b.pipeline);
    const title = document.createElement('h2');
    title.textContent = b.title;
    const name = document.createElement('p');
    name.textContent = b.pipeline;
    const views = document.createElement('p');
    views.className = 'note';
    views.textContent = b.views.map((v) => v.sink).join(', ');
    a.append(title, name, views);
    li.append(a);
    return li;
  }));
}

load();
