// Numbers and times as people write them: Intl, with units.

const compact = new Intl.NumberFormat(undefined, { notation: 'compact', maximumFractionDigits: 1 });
const plain = new Intl.NumberFormat(undefined, { maximumFractionDigits: 2 });
const whole = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const precise = new Intl.NumberFormat(undefined, { maximumFractionDigits: 6 });
const currencies = new Map();

function currency(unit, options) {
  const id = unit + JSON.stringify(options);
  if (!currencies.has(id)) {
    try {
      currencies.set(id, new Intl.NumberFormat(undefined, { style: 'currency', currency: unit, currencyDisplay: 'narrowSymbol', ...options }));
    } catch { currencies.set(id, null); }
  }
  return currencies.get(id);
}

const isCurrency = (unit) => /^[A-Z]{3}$/.test(unit);

// short is for axes and big figures: 12.3K, €4.5M, 350 ms, 1.2 GiB.
export function short(v, unit = '') {
  if (v == null || Number.isNaN(v)) return '–';
  const abs = Math.abs(v);
  if (isCurrency(unit)) {
    const f = currency(unit, abs >= 10000 ? { notation: 'compact', maximumFractionDigits: 1 } : { maximumFractionDigits: abs >= 100 || Number.isInteger(v) ? 0 : 2, minimumFractionDigits: 0 });
    if (f) return f.format(v);
  }
  if (unit === 'bytes' || unit === 'B') return bytes(v);
  if (unit === 'ms' && abs >= 10000) return withUnit(plain.format(Math.round(v / 100) / 10), 's');
  const f = abs >= 10000 ? compact : abs >= 1000 ? whole : abs >= 100 ? tenths : plain;
  return withUnit(f.format(v), unit);
}

// full is for tables and tooltips: every digit that counts. Ints beyond 2^53
// are text and stay exact.
export function full(v, unit = '') {
  if (v == null) return '–';
  if (typeof v === 'string') {
    if (!/^-?\d{16,}$/.test(v)) return v;
    return withUnit(plain.format(BigInt(v)), unit);
  }
  if (isCurrency(unit)) {
    const f = currency(unit, {});
    if (f) return f.format(v);
  }
  if (unit === 'bytes' || unit === 'B') return bytes(v);
  return withUnit(precise.format(v), unit);
}

// alike gives a function that writes numbers which stand under each other:
// all with as many decimals as the most precise of them needs, and no more than
// the greatest of them bears (finer: two more, for who asks closely).
export function alike(values, unit = '', finer = false) {
  let most = 0, high = 0;
  for (const v of values) if (typeof v === 'number' && Number.isFinite(v)) high = Math.max(high, Math.abs(v));
  if (isCurrency(unit) || unit === 'bytes' || unit === 'B' || high >= 10000) return (v) => finer ? full(v, unit) : short(v, unit);
  const limit = (high >= 1000 ? 0 : high >= 100 ? 1 : high >= 1 || high === 0 ? 2 : Math.min(6, 1 - Math.floor(Math.log10(high)))) + (finer ? 2 : 0);
  for (const v of values) if (typeof v === 'number' && Number.isFinite(v)) most = Math.max(most, decimals(v, limit));
  const f = fixed[most] ??= new Intl.NumberFormat(undefined, { minimumFractionDigits: most, maximumFractionDigits: most });
  return (v) => typeof v === 'number' ? withUnit(f.format(v), unit) : full(v, unit);
}
const fixed = [];

// decimals is how many of them a number needs, up to a limit.
function decimals(v, limit) {
  for (let d = 0; d < limit; d++) if (Math.abs(v * 10 ** d - Math.round(v * 10 ** d)) < 1e-9 * Math.max(1, Math.abs(v * 10 ** d))) return d;
  return limit;
}

function bytes(v) {
  const names = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let i = 0;
  while (Math.abs(v) >= 1024 && i < names.length - 1) { v /= 1024; i++; }
  return withUnit(plain.format(Math.round(v * 10) / 10), names[i]);
}

function withUnit(text, unit) {
  if (!unit) return text;
  return unit === '%' ? text + ' %' : text + ' ' + unit;
}

// Times. zone is undefined (local) or 'UTC'; setZone switches all of them.
let zone;
let formats = {};
export function setZone(z) { zone = z; formats = {}; stamps.clear(); }

function format(name, options) {
  return formats[name] ??= new Intl.DateTimeFormat(undefined, { ...options, timeZone: zone, hourCycle: 'h23' });
}

export const clock = (ms) => ms == null ? '–' : format('clock', { hour: '2-digit', minute: '2-digit', second: '2-digit' }).format(ms);
export const minute = (ms) => format('minute', { hour: '2-digit', minute: '2-digit' }).format(ms);
export const day = (ms) => format('day', { month: 'short', day: 'numeric' }).format(ms);
// A table writes the same few instants again and again.
const stamps = new Map();
export function stamp(ms) {
  if (ms == null) return '–';
  let text = stamps.get(ms);
  if (text === undefined) {
    if (stamps.size > 5000) stamps.clear();
    stamps.set(ms, text = stampFormat(ms));
  }
  return text;
}
const stampFormat = (ms) => format('stamp', { year: 'numeric', month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit' }).format(ms);

// near writes an instant of the same day as another without its date.
export const near = (ms, now) => ms == null ? '–' : day(ms) === day(now) ? clock(ms) : stamp(ms);

// since is a span of time for a badge: 0.8 s, 12 s, 4 min, 3 h, 2 d.
export function since(ms) {
  if (ms == null) return '–';
  const s = Math.max(0, ms) / 1000;
  if (s < 9.95) return plain.format(Math.round(s * 10) / 10) + ' s';
  if (s < 120) return Math.round(s) + ' s';
  if (s < 7200) return Math.round(s / 60) + ' min';
  if (s < 172800) return Math.round(s / 3600) + ' h';
  return Math.round(s / 86400) + ' d';
}

// cell is a table's cell by the column's type.
export function cell(v, type, unit) {
  if (v == null) return '–';
  if (type === 'timestamp') return stamp(v);
  if (type === 'int' || type === 'double') return full(v, unit);
  return typeof v === 'object' ? JSON.stringify(v) : String(v);
}
