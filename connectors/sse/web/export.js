// Taking the numbers along: CSV and JSON of rows, PNG of a panel. csv and json
// are pure, tested in node.

import { keysOf } from './shape.js';

// exported are the columns of a view's rows: key, window, then the rest.
function exported(store) {
  const names = [...keysOf(store.hello)];
  if (store.hello?.windowed) names.push('window_start', 'window_end');
  if (store.hello?.stream) names.push('_time');
  for (const c of store.hello?.schema ?? []) names.push(c.name);
  if (!store.hello?.schema?.length) for (const n of Object.keys(store.rows.values().next().value ?? {})) if (n[0] !== '_') names.push(n);
  return names.filter((n, i) => names.indexOf(n) === i);
}

const isTime = (store, name) => name === '_time' || name === 'window_start' || name === 'window_end' ||
  store.hello?.schema?.find((c) => c.name === name)?.type === 'timestamp';

function field(v, time) {
  if (v == null) return '';
  if (time && Number.isFinite(v)) return new Date(v).toISOString();
  let text = typeof v === 'object' ? JSON.stringify(v) : String(v);
  // A spreadsheet takes such a text for a formula, and the data is not ours.
  if (typeof v === 'string' && /^[=+\-@\t\r]/.test(text) && !Number.isFinite(+text)) text = "'" + text;
  return /[",\r\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
}

// csv gives the rows of a store, times as RFC 3339, as RFC 4180 has it.
export function csv(store) {
  const names = exported(store);
  const times = names.map((n) => isTime(store, n));
  const lines = [names.map((n) => field(n, false)).join(',')];
  for (const row of sorted(store)) lines.push(names.map((n, i) => field(row[n], times[i])).join(','));
  return lines.join('\r\n') + '\r\n';
}

// json gives the rows with what is known of their completeness.
export function json(store, now) {
  const names = exported(store);
  const rows = sorted(store).map((row) => Object.fromEntries(names.filter((n) => row[n] !== undefined).map((n) => [n, row[n]])));
  return JSON.stringify({ view: store.hello?.view, exported_at: now, complete_to: store.watermark, late: store.mark?.late, dropped: store.mark?.dropped, rows }, null, 1) + '\n';
}

function sorted(store) {
  const list = [...store.rows.values()];
  const time = store.hello?.windowed ? 'window_end' : '_time';
  return list.sort((a, b) => (a[time] ?? 0) - (b[time] ?? 0) || (a._key < b._key ? -1 : 1));
}

// fileName makes a name of texts and a time: demo-cities-20261122T203142Z.csv
export function fileName(parts, now, ending) {
  const words = parts.map((p) => String(p).toLowerCase().replaceAll(/[^\p{L}\p{N}]+/gu, '-').replaceAll(/^-|-$/g, '')).filter(Boolean);
  return words.join('-') + '-' + new Date(now).toISOString().replaceAll(/[-:]|\.\d+/g, '') + '.' + ending;
}

// save hands a file to the browser.
export function save(name, content, type) {
  const blob = content instanceof Blob ? content : new Blob([content], { type });
  const a = document.createElement('a');
  a.href = URL.createObjectURL(blob);
  a.download = name;
  a.click();
  setTimeout(() => URL.revokeObjectURL(a.href), 10000);
}

// png draws a panel: title, canvas, legend, when and from where.
export function png(title, canvas, legend, foot, style) {
  const ratio = 2, width = canvas.clientWidth, margin = 20;
  const out = document.createElement('canvas');
  const c = out.getContext('2d');
  const ink = (name) => style.getPropertyValue(name).trim();
  const font = (size, weight = 400) => `${weight} ${size}px ${style.fontFamily}`;
  // Where the legend's names go: a line at a time.
  c.font = font(12);
  let x = 0, y = 0;
  const places = legend.map((l) => {
    const w = c.measureText(l.text).width + 34;
    if (x + w > width && x > 0) { x = 0; y += 20; }
    const p = { ...l, x, y };
    x += w;
    return p;
  });
  const legendHeight = legend.length ? y + 28 : 0;
  const height = 34 + canvas.clientHeight + legendHeight + 24;
  out.width = (width + 2 * margin) * ratio;
  out.height = (height + 2 * margin) * ratio;
  c.scale(ratio, ratio);
  c.fillStyle = ink('--card');
  c.fillRect(0, 0, width + 2 * margin, height + 2 * margin);
  c.translate(margin, margin);
  c.fillStyle = ink('--text');
  c.font = font(16, 600);
  c.fillText(title, 0, 15, width);
  c.drawImage(canvas, 0, 34, width, canvas.clientHeight);
  c.font = font(12);
  for (const p of places) {
    const top = 34 + canvas.clientHeight + 12 + p.y;
    c.fillStyle = p.color;
    c.fillRect(p.x, top, 10, 10);
    c.fillStyle = ink('--soft');
    c.fillText(p.text, p.x + 16, top + 10);
  }
  c.fillStyle = ink('--muted');
  c.font = font(11);
  c.fillText(foot, 0, height - 4, width);
  return new Promise((done) => out.toBlob(done, 'image/png'));
}
