// Which panels a dashboard has, and how wide they are. Pure, tested in node.

const numeric = new Set(['int', 'double']);
// How wide a panel likes to be, in twelfths, and how narrow it may get.
const widths = { stat: 3, lag: 3, timeseries: 6, quantiles: 6, heatmap: 6, topk: 4, events: 6, table: 12 };
const least = { topk: 3, events: 4 };
const small = new Set(['stat', 'lag']);

// panelsOf gives a dashboard's panels; where it has none, one for each number
// that the views offer, and a table.
export function panelsOf(dashboard, views) {
  const panels = dashboard?.panels?.length ? dashboard.panels : views.flatMap(drawn);
  return panels.map((p, i) => ({ ...p, id: 'p' + (i + 1), view: viewOf(p, views) }));
}

function viewOf(panel, views) {
  const named = views.find((v) => v.sink === panel.view || v.name === panel.view);
  return (named ?? views[0])?.name;
}

function drawn(view) {
  const key = (view.key ?? []).filter((k) => k !== 'window_start' && k !== 'window_end');
  const values = (view.schema ?? []).filter((c) => numeric.has(c.type) && !(view.key ?? []).includes(c.name) &&
    !['window_start', 'window_end', 'rank'].includes(c.name));
  const base = { view: view.sink };
  const panels = [];
  if (view.appends) panels.push({ ...base, type: 'events', title: titleOf(view.sink) });
  else {
    for (const c of values.slice(0, 8)) {
      if (view.windowed) panels.push({ ...base, type: 'timeseries', title: plainTitle(c.name), value: c.name });
      else if (key.length) panels.push({ ...base, type: 'topk', title: plainTitle(c.name), value: c.name });
      else panels.push({ ...base, type: 'stat', title: plainTitle(c.name), value: c.name });
    }
  }
  if (!view.appends) panels.push({ ...base, type: 'table', title: titleOf(view.sink) });
  return panels;
}

// plainTitle leaves out the unit, which the panel's numbers carry.
const plainTitle = (name) => titleOf(unitOf({ value: name }) ? name.replace(/_[a-z]+$/, '') : name);

// titleOf makes a column's name readable: avg_price → Avg price.
export function titleOf(name) {
  const words = name.replaceAll(/[._-]+/g, ' ').trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

// pack gives each panel a width in twelfths, so that every row is full. Two
// small panels beside a tall one stand on each other: they have the same stack.
export function pack(panels) {
  const out = [];
  let row = [];
  const flush = () => {
    const sum = row.reduce((n, b) => n + b.w, 0);
    let left = 12;
    row.forEach((b, i) => {
      const w = i === row.length - 1 ? left : Math.max(b.least, Math.round(12 * b.w / sum));
      left -= w;
      for (const panel of b.panels) out.push({ ...panel, width: w, ...(b.panels.length > 1 ? { stack: b.panels[0].id ?? out.length } : {}) });
    });
    row = [];
  };
  for (const block of blocks(panels)) {
    const narrow = row.reduce((n, b) => n + b.least, 0);
    if (narrow + block.least > 12) flush();
    row.push(block);
  }
  if (row.length) flush();
  return out;
}

// blocks are what a row is made of: a panel, or two small ones.
function blocks(panels) {
  const list = [];
  for (let i = 0; i < panels.length; i++) {
    const panel = panels[i];
    let run = 1;
    while (small.has(panel.type) && small.has(panels[i + run]?.type)) run++;
    const starts = !small.has(panels[i - 1]?.type);
    const beside = [panels[i - 1], panels[i + run]].some((p) => p && !small.has(p.type) && (widths[p.type] ?? 12) < 12);
    if (small.has(panel.type) && starts && run === 2 && beside) {
      list.push({ panels: [panel, panels[++i]], w: 3, least: 3 });
      continue;
    }
    const w = Math.min(12, Math.max(2, panel.width ?? even(panels, i)));
    list.push({ panels: [panel], w, least: Math.min(w, panel.width ?? least[panel.type] ?? w) });
  }
  return list;
}

// even is a panel's usual width, or a wider one where its neighbours of the
// same type need more than a row: five stats are three and two, not four and one.
function even(panels, i) {
  const w = widths[panels[i].type] ?? 12;
  let from = i, to = i + 1;
  while (from > 0 && panels[from - 1].type === panels[i].type) from--;
  while (to < panels.length && panels[to].type === panels[i].type) to++;
  const rows = Math.ceil((to - from) * w / 12);
  return rows > 1 ? Math.floor(12 / Math.ceil((to - from) / rows)) : w;
}

// unitOf guesses a unit from a column's name where the panel gives none.
export function unitOf(panel) {
  if (panel.unit) return panel.unit;
  const m = /_(ms|seconds|bytes|percent|pct)$/.exec(panel.value ?? '');
  return m ? { ms: 'ms', seconds: 's', bytes: 'bytes', percent: '%', pct: '%' }[m[1]] : '';
}
