// What the keys do and what the marks mean, in a dialog.

import { element } from './menu.js';

const keys = [
  ['Space', 'pause and resume; what comes meanwhile is kept'],
  ['/', 'filter by key'],
  ['1 2 3 0', 'the last 5 min, 15 min, 1 h, all'],
  ['← → Home End', 'on a chart: read the values one by one'],
  ['Enter', 'on a chart: hold that moment; the other panels show it, too'],
  ['t', 'the panel with the focus as a table, and back'],
  ['w', 'why this number: what it is made of'],
  ['f', 'the panel on the full screen'],
  ['l', 'back to live'],
  ['k', 'panels only'],
  ['Esc', 'close, let go'],
];

const marks = [
  ['solid line', 'closed windows: only late rows change them'],
  ['dashed line, hollow dot ○', 'windows that are still open: numbers grow until “complete to” passes them'],
  ['dotted thin line', 'the same an earlier while, under Compare'],
  ['complete to', 'event time up to which every row has been seen'],
  ['late', 'rows that came after their window had closed'],
  ['grey panels', 'the last numbers known, while the stream is away'],
];

export function help() {
  if (document.querySelector('dialog.help')) return;
  const close = element('button', { type: 'button', text: 'Close' });
  const dialog = element('dialog', { class: 'help', 'aria-labelledby': 'help-title' },
    element('h2', { id: 'help-title', text: 'Keys and marks' }),
    list(keys, 'kbd'), element('h3', { text: 'What you see' }), list(marks, 'b'), close);
  close.addEventListener('click', () => dialog.close());
  dialog.addEventListener('close', () => dialog.remove());
  dialog.addEventListener('click', (e) => { if (e.target === dialog) dialog.close(); });
  document.body.append(dialog);
  dialog.showModal();
}

function list(pairs, tag) {
  return element('dl', {}, ...pairs.flatMap(([k, v]) => [element('dt', {}, element(tag, { text: k })), element('dd', { text: v })]));
}
