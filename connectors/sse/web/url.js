// What a page shows, as its address: whoever opens the link sees the same.
// Pure, tested in node.
//
//	?range=15m&key=site:oslo&compare=1h&table=p2&at=1700000000000&speed=10
//	&panel=p1&kiosk&theme=dark&tz=utc

export const ranges = { '5m': 300000, '15m': 900000, '1h': 3600000 };
export const shifts = { '10m': 600000, '1h': 3600000, '1d': 86400000 };
export const speeds = [1, 2, 5, 10, 30, 60];

const blank = () => ({ range: '', keys: [], compare: '', tables: [], panel: '', kiosk: false, theme: '', utc: false, at: null, speed: 1 });

// parse reads location.search; what it does not know it leaves out.
export function parse(search) {
  const q = new URLSearchParams(search);
  const s = blank();
  if (Object.hasOwn(ranges, q.get('range') ?? '')) s.range = q.get('range');
  if (Object.hasOwn(shifts, q.get('compare') ?? '')) s.compare = q.get('compare');
  s.keys = [...new Set(q.getAll('key').filter(Boolean))].slice(0, 50);
  s.tables = (q.get('table') ?? '').split(',').filter((t) => /^p\d+$/.test(t));
  if (/^p\d+$/.test(q.get('panel') ?? '')) s.panel = q.get('panel');
  s.kiosk = q.has('kiosk') && q.get('kiosk') !== '0';
  if (['light', 'dark'].includes(q.get('theme'))) s.theme = q.get('theme');
  s.utc = q.get('tz') === 'utc';
  const at = q.get('at') ?? '';
  const ms = /^\d{10,14}$/.test(at) ? +at : Date.parse(at);
  if (at && Number.isFinite(ms)) s.at = ms;
  if (+q.get('speed') >= 0.1 && +q.get('speed') <= 1000) s.speed = +q.get('speed');
  return s;
}

// format writes a search: parse(format(s)) is s.
export function format(s) {
  const q = [];
  const add = (name, value) => q.push(name + (value === '' ? '' : '=' + encodeURIComponent(value).replaceAll('%3A', ':').replaceAll('%2C', ',')));
  if (s.range) add('range', s.range);
  for (const k of s.keys) add('key', k);
  if (s.compare) add('compare', s.compare);
  if (s.tables.length) add('table', s.tables.join(','));
  if (s.at != null) add('at', String(Math.round(s.at)));
  if (s.at != null && s.speed !== 1) add('speed', String(s.speed));
  if (s.panel) add('panel', s.panel);
  if (s.kiosk) add('kiosk', '');
  if (s.theme) add('theme', s.theme);
  if (s.utc) add('tz', 'utc');
  return q.length ? '?' + q.join('&') : '';
}
