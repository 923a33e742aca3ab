// From rows to what a panel draws. Pure functions, tested in node.

// combinators put several rows of one point together: the windows of several
// cities in one country, say. A sum of percentiles would be nonsense, so the
// column's name decides unless the panel does.
const combinators = {
  sum: (a, b) => a + b,
  max: Math.max,
  min: Math.min,
  last: (_, b) => b,
};

export function combineOf(panel) {
  if (Object.hasOwn(combinators, panel.fn ?? '') || panel.fn === 'avg') return panel.fn;
  const name = panel.value ?? '';
  if (/^(min|lowest|earliest)(_|$)|(_|^)min$/.test(name)) return 'min';
  if (/^(p\d+|max|median|highest|latest|quantile)(_|$)|(_|^)(p\d+|max|median)$/.test(name)) return 'max';
  if (/(^|_)(avg|mean|average|ratio|share|rate|percent|pct|temperature|temp)(_|$)/.test(name)) return 'avg';
  return 'sum';
}

class Cell {
  constructor() { this.n = 0; this.value = null; this.exact = null; this.open = false; }
  add(v, open, how) {
    this.open ||= open;
    const x = number(v);
    if (x == null) return;
    if (typeof v === 'string' || this.exact != null) this.exactly(v, how);
    this.value = this.n === 0 ? x : how === 'avg' ? this.value + (x - this.value) / (this.n + 1) : combinators[how](this.value, x);
    this.n++;
  }

  // exactly keeps beside the number, which may be rounded, the int itself.
  exactly(v, how) {
    const b = whole(v), a = this.n === 0 ? null : this.exact ?? whole(this.value);
    if (b == null || how === 'avg' || (this.n > 0 && a == null)) this.exact = null;
    else if (a == null || how === 'last') this.exact = b;
    else this.exact = how === 'sum' ? a + b : (how === 'max') === (b > a) ? b : a;
  }

  // text is the int where a number cannot hold it, else undefined.
  get text() { return this.exact != null && !Number.isSafeInteger(Number(this.exact)) ? String(this.exact) : undefined; }
}

function whole(v) {
  if (typeof v === 'string') return /^-?\d+$/.test(v) ? BigInt(v) : null;
  return Number.isSafeInteger(v) ? BigInt(v) : null;
}

// number reads a value: ints beyond 2^53 come as text. A chart may round them.
export function number(v) {
  if (typeof v === 'number') return v;
  if (typeof v === 'string' && v !== '' && Number.isFinite(+v)) return +v;
  return typeof v === 'boolean' ? +v : null;
}

// labelOf names what a value is for: null reads as "none".
export function labelOf(v) {
  if (v == null) return 'none';
  return typeof v === 'object' ? JSON.stringify(v) : String(v);
}

// keysOf are a view's key columns without the window.
export function keysOf(hello) {
  return (hello?.key ?? []).filter((k) => k !== 'window_start' && k !== 'window_end');
}

// isOpen: the window may still change.
export function isOpen(row, watermark) {
  if (row.final === true) return false;
  if (row.final === false) return true;
  return watermark != null && row.window_end > watermark;
}

// point is a place on a line; exact is there where y is rounded.
const point = (x, cell) => cell.text ? { x, y: cell.value, open: cell.open, exact: cell.text } : { x, y: cell.value, open: cell.open };

// timeseries gives a line for each value of the series columns:
//   {lines: [{name, points: [{x, y, open}]}], hidden, first, last}
// with the top lines, the highest first, x being the window's end.
export function timeseries(store, panel, top = 8) {
  const how = combineOf(panel);
  const by = panel.series ? [].concat(panel.series) : keysOf(store.hello);
  const groups = new Map();
  let first = Infinity, last = -Infinity;
  for (const row of store.rows.values()) {
    const x = store.hello?.windowed ? row.window_end : row._time;
    if (x == null) continue;
    const name = by.length ? by.map((c) => labelOf(row[c])).join(' · ') : (panel.title || panel.value);
    let cells = groups.get(name);
    if (!cells) groups.set(name, cells = new Map());
    let cell = cells.get(x);
    if (!cell) cells.set(x, cell = new Cell());
    cell.add(row[panel.value], isOpen(row, store.watermark), how);
    if (x < first) first = x;
    if (x > last) last = x;
  }
  const lines = [];
  for (const [name, cells] of groups) {
    const points = [...cells].map(([x, c]) => point(x, c)).sort((a, b) => a.x - b.x);
    // Rank by the recent mean, so that lines do not swap places at each window:
    // those far from zero are shown, and stand in the legend as in the chart.
    const recent = points.slice(-20);
    const mean = (of) => recent.reduce((s, p) => s + of(p.y ?? 0), 0) / recent.length;
    lines.push({ name, points, rank: mean(Math.abs), mean: mean(Number) });
  }
  const down = (rank) => (a, b) => b[rank] - a[rank] || (a.name < b.name ? -1 : 1);
  const shown = lines.sort(down('rank')).slice(0, top).sort(down('mean'));
  return { lines: shown, hidden: lines.length - shown.length, first, last };
}

// stat gives one number over time: [{x, y, open}], closed windows and the
// open ones behind them. Without windows it is the rows' value now.
export function stat(store, panel) {
  if (store.hello?.windowed) {
    const one = timeseries({ ...store, hello: { ...store.hello, key: [] } }, { ...panel, series: undefined }, 1);
    return one.lines[0]?.points ?? [];
  }
  const cell = new Cell();
  const how = combineOf(panel);
  for (const row of store.rows.values()) cell.add(row[panel.value], false, how);
  return cell.n ? [point(null, cell)] : [];
}

// topk gives the k greatest: {at, items: [{name, value}], rest}. With windows
// it looks at the one that ends at `at`, or at the newest that is closed, or
// the newest at all if none is.
export function topk(store, panel, k = 10, at = null) {
  const how = combineOf(panel);
  const by = panel.by ?? panel.series;
  const columns = by ? [].concat(by) : keysOf(store.hello);
  if (!store.hello?.windowed) at = null;
  else at ??= newest(store);
  const cells = new Map();
  for (const row of store.rows.values()) {
    if (at != null && row.window_end !== at) continue;
    const name = columns.map((c) => labelOf(row[c])).join(' · ');
    let cell = cells.get(name);
    if (!cell) cells.set(name, cell = new Cell());
    cell.add(row[panel.value], false, how);
  }
  const list = [];
  for (const [name, cell] of cells) if (cell.n) list.push(cell.text ? { name, value: cell.value, exact: cell.text } : { name, value: cell.value });
  list.sort((a, b) => b.value - a.value || (a.name < b.name ? -1 : 1));
  return { at, items: list.slice(0, k), rest: Math.max(0, list.length - k) };
}

// columnsOf are the columns of a view's table, in the order people read them.
export function columnsOf(store, panel) {
  const schema = store.hello?.schema?.length ? store.hello.schema : guessed(store);
  const wanted = panel.columns ?? (panel.value ? [...keysOf(store.hello), 'window_end', ...[].concat(panel.value)] : null);
  const all = schema.map((c) => c.name);
  const names = wanted ? wanted.filter((n) => all.includes(n) || n === 'window_end') :
    [...keysOf(store.hello).filter((n) => all.includes(n)), ...all.filter((n) => !keysOf(store.hello).includes(n))];
  if (store.hello?.windowed && !names.includes('window_end')) names.push('window_end');
  if (store.hello?.stream && !names.includes('_time')) names.unshift('_time');
  return names.filter((n, i) => names.indexOf(n) === i && n !== 'window_start' && n !== 'final')
    .map((name) => ({ name, type: name === '_time' || name === 'window_end' ? 'timestamp' : schema.find((c) => c.name === name)?.type ?? 'any' }));
}

function guessed(store) {
  const row = store.rows.values().next().value ?? {};
  return Object.keys(row).filter((n) => n[0] !== '_').map((name) => ({ name, type: typeof row[name] === 'number' ? 'double' : typeof row[name] }));
}

// compare orders two values of a column: numbers by size, null last.
export function compare(a, b) {
  if (a == null || b == null) return (a == null) - (b == null);
  const x = number(a), y = number(b);
  if (x != null && y != null) return x - y;
  const s = labelOf(a), t = labelOf(b);
  return s < t ? -1 : s > t ? 1 : 0;
}

// shifted gives lines of the same names an earlier while, moved to now: what
// was an hour ago stands over what is. The store may not go back so far.
export function shifted(lines, by, from, to) {
  return lines.map((l) => ({ ...l, points: l.points.filter((p) => p.x + by >= from && p.x + by <= to).map((p) => ({ ...p, x: p.x + by })) }));
}

// goesBack tells whether a store has rows from so long ago.
export function goesBack(store, by) {
  if (!store.hello?.windowed) return false;
  if (store.hello.history_ms && store.hello.history_ms < by) return false;
  let first = Infinity, last = -Infinity;
  for (const row of store.rows.values()) {
    if (row.window_end < first) first = row.window_end;
    if (row.window_end > last) last = row.window_end;
  }
  return last - first >= by;
}

// beginning is when the data of some views begins, epoch ms, where that is
// known: nothing has been let go yet of a view that shows windows. Else null.
export function beginning(stores) {
  let least = null;
  for (const { hello, rows, expireBefore } of stores) {
    if (!hello?.windowed || !rows.size) continue;
    let first = Infinity;
    for (const row of rows.values()) first = Math.min(first, row.window_start ?? row.window_end);
    if (expireBefore > -Infinity && first - expireBefore < 60000) continue; // older ones are gone
    least = Math.min(least ?? Infinity, first);
  }
  return least;
}

// closedBy gives of a store of windows those that ended until then.
export function closedBy(store, at) {
  const rows = new Map();
  if (store.hello?.windowed) for (const [key, row] of store.rows) if (row.window_end <= at && !isOpen(row, store.watermark)) rows.set(key, row);
  return Object.assign(Object.create(Object.getPrototypeOf(store)), store, { rows, mark: null, watermark: Math.min(at, store.watermark ?? at), seen: null });
}

// why tells what a number is made of: the window, and the rows put together.
//   {window: {start, end, open}, how, rows, counts: [{name, sum}]}
export function why(store, panel, at) {
  let rows = [...store.rows.values()];
  const windowed = !!store.hello?.windowed;
  if (windowed) {
    at ??= newest(store);
    rows = rows.filter((r) => r.window_end === at);
  }
  const used = panel.value ? rows.filter((r) => r[panel.value] != null) : rows;
  const counts = (store.hello?.schema ?? []).filter((c) => c.type === 'int' && c.name !== panel.value && !(store.hello.key ?? []).includes(c.name) && !/(^|_)(id|rank|number|no)$/.test(c.name))
    .map((c) => ({ name: c.name, sum: used.reduce((n, r) => n + (number(r[c.name]) ?? 0), 0) }));
  return {
    window: windowed && used.length ? { start: Math.min(...used.map((r) => r.window_start ?? at)), end: at, open: used.some((r) => isOpen(r, store.watermark)) } : null,
    how: combineOf(panel), rows: used, counts,
  };
}

// newest is the end of the newest window that is closed, or of the newest at all.
export function newest(store) {
  let any = -Infinity, closed = -Infinity;
  for (const row of store.rows.values()) {
    if (row.window_end > any) any = row.window_end;
    if (row.window_end > closed && !isOpen(row, store.watermark)) closed = row.window_end;
  }
  return closed > -Infinity ? closed : any > -Infinity ? any : null;
}
