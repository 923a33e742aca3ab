// Histograms over time: what heatmaps and quantile bands draw from. Pure,
// tested in node. A histogram is a column of [{le, count}], see histogram(x).

import { isOpen, number, timeseries } from './shape.js';

// bins reads a histogram value: [{le, count}], finite bounds only, in order.
export function bins(v) {
  if (!Array.isArray(v)) return null;
  const out = [];
  for (const b of v) {
    const le = number(b?.le), count = number(b?.count);
    if (le != null && Number.isFinite(le) && count > 0) out.push({ le, count });
  }
  return out.sort((a, b) => a.le - b.le);
}

const binWidth = 1.0202; // a bin's upper bound by its lower: values within 1 %

// quantilesOf gives values below which shares of a histogram lie: within 1 %.
export function quantilesOf(histogram, shares) {
  const total = histogram.reduce((n, b) => n + b.count, 0);
  if (!total) return shares.map(() => null);
  return shares.map((q) => {
    const rank = Math.floor(q * (total - 1));
    let n = 0;
    for (const b of histogram) {
      n += b.count;
      if (n > rank) return b.le * (b.le >= 0 ? 2 / (1 + binWidth) : 2 * binWidth / (1 + binWidth));
    }
    return null;
  });
}

// merged puts the histograms of each window end together:
// Map of x → {bins: Map of le → count, open, n}.
function merged(store, column) {
  const byTime = new Map();
  for (const row of store.rows.values()) {
    const list = bins(row[column]);
    const x = store.hello?.windowed ? row.window_end : row._time;
    if (!list || x == null) continue;
    let cell = byTime.get(x);
    if (!cell) byTime.set(x, cell = { bins: new Map(), open: false, n: 0 });
    cell.open ||= isOpen(row, store.watermark);
    for (const b of list) {
      cell.bins.set(b.le, (cell.bins.get(b.le) ?? 0) + b.count);
      cell.n += b.count;
    }
  }
  return [...byTime].sort((a, b) => a[0] - b[0]);
}

// quantiles gives lines of quantiles over time, greatest first: of columns
// that are quantiles already, or of a histogram's column.
export function quantiles(store, panel) {
  if (panel.columns?.length) {
    const lines = panel.columns.map((value) => {
      const all = timeseries({ ...store, hello: { ...store.hello, key: [] } }, { fn: 'max', ...panel, value, series: undefined }, 1);
      return { name: value, points: all.lines[0]?.points ?? [] };
    });
    return spanned(lines.toReversed(), 'as the pipeline computes them');
  }
  const shares = panel.quantiles?.length ? panel.quantiles : [0.5, 0.9, 0.99];
  const lines = shares.map((q) => ({ name: 'p' + +(q * 100).toFixed(4), points: [] }));
  for (const [x, cell] of merged(store, panel.value)) {
    const list = [...cell.bins].map(([le, count]) => ({ le, count })).sort((a, b) => a.le - b.le);
    quantilesOf(list, shares).forEach((y, i) => lines[i].points.push({ x, y, open: cell.open }));
  }
  return spanned(lines.toReversed(), 'within 1 %');
}

function spanned(lines, error) {
  let first = Infinity, last = -Infinity;
  for (const l of lines) {
    for (const p of l.points) {
      if (p.x < first) first = p.x;
      if (p.x > last) last = p.x;
    }
  }
  return { lines, first, last, error };
}

// heat gives cells over time: a histogram's counts by value, or, of a number,
// a row for each key. {columns: [{x, open, cells: [{row, v}]}], rows: [label], high}.
// A histogram's fine bins are put together into at most `most` rows of equal
// height, on a log scale where the values go over more than a decade.
export function heat(store, panel, most = 28) {
  const isHistogram = [...take(store.rows.values(), 50)].some((r) => Array.isArray(r[panel.value]));
  return isHistogram ? heatOfHistogram(store, panel, most) : heatOfNumbers(store, panel, panel.top ?? 30);
}

function* take(iterable, n) {
  for (const v of iterable) {
    if (n-- <= 0) return;
    yield v;
  }
}

function heatOfHistogram(store, panel, most) {
  const times = merged(store, panel.value);
  let low = Infinity, high = -Infinity;
  for (const [, cell] of times) {
    for (const le of cell.bins.keys()) {
      if (le < low) low = le;
      if (le > high) high = le;
    }
  }
  if (low > high) return { columns: [], rows: [], high: 0, histogram: true };
  const log = low > 0 && high / low > 10;
  const place = log ? Math.log : (v) => v;
  low = log ? low / binWidth : low - Math.abs(low) * 0.02;
  const a = place(low), b = place(high);
  const rows = Math.max(1, Math.min(most, Math.ceil((b - a) / (log ? Math.log(binWidth) : Math.abs(high) * 0.0202 || 1))));
  const size = (b - a) / rows || 1;
  const back = log ? Math.exp : (v) => v;
  let peak = 0;
  const columns = times.map(([x, cell]) => {
    const sums = new Map();
    for (const [le, count] of cell.bins) {
      const row = Math.max(0, Math.min(rows - 1, Math.ceil((place(le) - a) / size - 1e-9) - 1));
      sums.set(row, (sums.get(row) ?? 0) + count);
    }
    for (const v of sums.values()) if (v > peak) peak = v;
    return { x, open: cell.open, n: cell.n, cells: [...sums].map(([row, v]) => ({ row, v })) };
  });
  const bounds = Array.from({ length: rows + 1 }, (_, i) => back(a + i * size));
  return { columns, rows: bounds.slice(1), bounds, high: peak, low: 0, histogram: true, log };
}

function heatOfNumbers(store, panel, most) {
  const shape = timeseries(store, panel, most);
  shape.lines.sort((a, b) => a.name < b.name ? -1 : 1); // rows that stay where they are
  const byTime = new Map();
  let low = Infinity, high = -Infinity;
  shape.lines.forEach((l, row) => {
    for (const p of l.points) {
      if (p.y == null) continue;
      let column = byTime.get(p.x);
      if (!column) byTime.set(p.x, column = { x: p.x, open: false, cells: [] });
      column.open ||= p.open;
      column.cells.push({ row: shape.lines.length - 1 - row, v: p.y });
      if (p.y < low) low = p.y;
      if (p.y > high) high = p.y;
    }
  });
  const columns = [...byTime.values()].sort((a, b) => a.x - b.x);
  return { columns, rows: shape.lines.map((l) => l.name).reverse(), high: Math.max(high, 0), low: Math.min(low, low < 0.6 * high ? 0 : low), hidden: shape.hidden, histogram: false };
}
