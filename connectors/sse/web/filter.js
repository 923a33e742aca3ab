// Which rows are shown: by the texts of their key columns. Pure, tested in
// node. It only hides: what a viewer may see is the server's to say.

import { keysOf, labelOf } from './shape.js';

// A term is "column:text", or a text alone, which any key column may contain.
// split gives [column or '', text]; columns are those that a view has.
export function split(term, columns) {
  const colon = term.indexOf(':');
  if (colon > 0 && columns.includes(term.slice(0, colon))) return [term.slice(0, colon), term.slice(colon + 1)];
  return ['', term];
}

// keeper gives the test of a view's rows, or null where all pass. Terms of
// one column are alternatives, different columns must all fit. A term whose
// column the view does not have says nothing about its rows; others are the
// columns of the page's other views.
export function keeper(terms, hello, others = []) {
  const own = keysOf(hello);
  const exact = new Map(), loose = [];
  for (const term of terms) {
    const [column, text] = split(term, [...own, ...others]);
    if (!column) loose.push(text.toLowerCase());
    else if (own.includes(column)) exact.set(column, (exact.get(column) ?? new Set()).add(text));
  }
  if ((!exact.size && !loose.length) || !own.length) return null;
  return (row) => {
    for (const [column, texts] of exact) if (!texts.has(labelOf(row[column]))) return false;
    return !loose.length || loose.some((text) => own.some((c) => labelOf(row[c]).toLowerCase().includes(text)));
  };
}

// asked are the terms that the server can keep to, as it reads key=: exact
// ones, of columns whose text there is the text here. What it does not know is
// left to keeper, which hides the rest in any case.
export function asked(terms, view) {
  const own = keysOf(view);
  const exact = terms.map((t) => split(t, own)).filter(([column]) => column);
  const types = new Map((view.schema ?? []).map((c) => [c.name, c.type]));
  const plain = ([column, text]) => ['string', 'int', 'bool'].includes(types.get(column)) && text !== 'none';
  return exact.filter(([column]) => exact.every((e) => e[0] !== column || plain(e))).map(([column, text]) => `${column}:${text}`).sort();
}

// query writes them for a stream's address.
export const query = (terms) => terms.length ? '?' + terms.map((t) => 'key=' + encodeURIComponent(t)).join('&') : '';

// suggestions for what is typed: terms of all stores' key columns, those that
// begin with it first.
export function suggestions(stores, typed, taken = [], most = 12) {
  const want = typed.toLowerCase().trim();
  const found = new Map(); // term → [rank, column, text]
  for (const store of stores) {
    const columns = keysOf(store.hello);
    for (const row of store.rows.values()) {
      for (const c of columns) {
        const text = labelOf(row[c]), term = c + ':' + text;
        if (found.has(term) || taken.includes(term)) continue;
        const low = text.toLowerCase();
        const rank = low.startsWith(want) ? 0 : low.includes(want) ? 1 : term.toLowerCase().startsWith(want) ? 0 : 2;
        if (rank < 2) found.set(term, { rank, column: c, text, term });
      }
      if (found.size > 2000) break;
    }
  }
  return [...found.values()].sort((a, b) => a.rank - b.rank || (a.column < b.column ? -1 : a.column > b.column ? 1 : a.text < b.text ? -1 : a.text > b.text ? 1 : 0)).slice(0, most);
}
