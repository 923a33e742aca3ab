import assert from 'node:assert/strict';
import { test } from 'node:test';
import { csv, fileName, json } from '../web/export.js';
import { asked, keeper, query, suggestions } from '../web/filter.js';
import { canonical, fnv, hash } from '../web/hash.js';
import { alike, near } from '../web/format.js';
import { beginning, closedBy, goesBack, shifted, topk, why } from '../web/shape.js';
import { bins, heat, quantiles, quantilesOf } from '../web/sketch.js';
import { Store } from '../web/store.js';
import { format, parse } from '../web/url.js';

const min = 60000;

// A view of two cities, three windows of a minute, the last one open.
function cities(over = {}) {
  const s = new Store();
  s.apply('hello', { epoch: 'e', view: 'w/cities', key: ['site', 'window_start', 'window_end'], windowed: true, history_ms: 60 * min, now: 0,
    schema: [{ name: 'site', type: 'string' }, { name: 'n', type: 'int' }, { name: 'temp', type: 'double' }], ...over }, 0);
  const rows = [];
  for (const [i, site] of ['oslo', 'porto'].entries()) {
    for (const end of [1, 2, 3]) rows.push({ _key: site + end, site, window_start: (end - 1) * min, window_end: end * min, n: end * 10 + i, temp: end + i * 0.5 });
  }
  s.apply('snapshot', { rows, watermark: 2 * min }, 0);
  s.apply('ready', {}, 0);
  return s;
}

test('a link keeps what is seen', () => {
  const full = { range: '15m', keys: ['site:oslo', 'a&b=c'], compare: '1h', tables: ['p2', 'p11'], panel: 'p3', kiosk: true, theme: 'dark', utc: true, at: 1700000000000, speed: 10 };
  const search = format(full);
  assert.equal(search, '?range=15m&key=site:oslo&key=a%26b%3Dc&compare=1h&table=p2,p11&at=1700000000000&speed=10&panel=p3&kiosk&theme=dark&tz=utc');
  assert.deepEqual(parse(search), full);
  assert.equal(format(parse('')), '');
  assert.equal(parse('?at=2026-11-22T20:00:00Z').at, Date.UTC(2026, 10, 22, 20));
});

test('what a link cannot mean is left out', () => {
  assert.deepEqual(parse('?range=toString&compare=2y&panel=../x&table=p1,x&theme=blue&at=soon&speed=1e9&kiosk=0'), parse('?table=p1'));
});

test('a filter: one column\'s terms are alternatives, columns must all fit', () => {
  const hello = { key: ['site', 'sensor', 'window_end'] };
  const keep = (...terms) => keeper(terms, hello, ['country']);
  const row = { site: 'oslo', sensor: 's-1' };
  assert.equal(keep()?.(row) ?? true, true);
  assert.equal(keep('site:oslo')(row), true);
  assert.equal(keep('site:oslo', 'site:porto')(row), true);
  assert.equal(keep('site:oslo', 'sensor:s-2')(row), false);
  assert.equal(keep('OSL')(row), true);
  assert.equal(keep('nowhere')(row), false);
  assert.equal(keep('country:NO'), null, 'another view\'s column says nothing here');
  assert.equal(keeper(['site:none'], hello)({ site: null }), true);
  assert.equal(keep('a:b')({ site: 'a:b' }), true, 'no column of that name: a text');
});

test('of a filter the server is asked for what it can keep to, and no more', () => {
  const view = { key: ['site', 'sensor', 'price', 'window_start', 'window_end'], schema: [{ name: 'site', type: 'string' }, { name: 'sensor', type: 'int' }, { name: 'price', type: 'double' }] };
  const ask = (...terms) => query(asked(terms, view));
  assert.equal(ask(), '');
  assert.equal(ask('site:porto', 'site:a b&c'), '?key=site%3Aa%20b%26c&key=site%3Aporto');
  assert.equal(ask('site:oslo', 'osl'), '?key=site%3Aoslo', 'what is loose is hidden here');
  assert.equal(ask('site:oslo', 'site:none'), '', 'none is null there: all of the column come');
  assert.equal(ask('price:1.5', 'sensor:7'), '?key=sensor%3A7', '1.50 is another text there');
  assert.equal(ask('country:NO', 'window_end:5'), '', 'no key column of this view');
  const keep = keeper(['site:oslo', 'sensor:7'], view);
  for (const [row, kept] of [[{ site: 'oslo', sensor: 7 }, true], [{ site: 'oslo', sensor: 8 }, false]]) assert.equal(keep(row), kept);
});

test('numbers under each other have as many decimals', () => {
  const write = (values, unit, finer) => values.map(alike(values, unit, finer));
  assert.deepEqual(write([12.8, 9.11, 3], '°C'), ['12.80 °C', '9.11 °C', '3.00 °C']);
  assert.deepEqual(write([1, 20, 300]), ['1', '20', '300']);
  assert.deepEqual(write([1234.56, 2]), ['1,235', '2']);
  assert.deepEqual(write([11.182684, 0.02491], '', true), ['11.1827', '0.0249']);
  assert.deepEqual(write([0.00123, 0.0004]), ['0.0012', '0.0004']);
  assert.deepEqual(write([20000, 5]), ['20K', '5']);
  assert.deepEqual(write(['9007199254740993', 1.5]), ['9,007,199,254,740,993', '1.5']);
});

test('a time of today needs no date', () => {
  const noon = Date.UTC(2026, 10, 22, 12);
  assert.equal(near(noon, noon + 3600000), '12:00:00');
  assert.match(near(noon, noon + 86400000), /Nov 22, 2026.*12:00:00/);
});

test('what closed before the first frame was written is known all the same', () => {
  const s = cities();
  assert.deepEqual([...closedBy(s, 2 * min).rows.keys()], ['oslo1', 'oslo2', 'porto1', 'porto2']);
  assert.deepEqual([...closedBy(s, 5 * min).rows.keys()], ['oslo1', 'oslo2', 'porto1', 'porto2'], 'open windows are not');
  assert.equal(closedBy(s, 1.5 * min).watermark, 1.5 * min);
  assert.equal(s.rows.size, 6);
});

test('a timeline begins with the data, as long as none is gone', () => {
  const s = cities();
  assert.equal(beginning([s, new Store()]), 0);
  s.apply('mark', { now: 0, age_ms: 0, expire_before: -30000 }, 0);
  assert.equal(beginning([s]), null, 'older windows may have been let go');
  assert.equal(beginning([cities({ windowed: false })]), null);
});

test('completion offers keys, beginnings first', () => {
  const s = cities();
  assert.deepEqual(suggestions([s], 'o').map((f) => f.term), ['site:oslo', 'site:porto']);
  assert.deepEqual(suggestions([s], '', ['site:oslo']).map((f) => f.term), ['site:porto']);
  assert.deepEqual(suggestions([s], 'xyz'), []);
});

test('CSV: times as text, quotes, nulls, and no formulas', () => {
  const s = cities();
  s.apply('delta', { upsert: [{ _key: 'x', site: '=HYPERLINK("x")', window_start: 0, window_end: 4 * min, n: '9007199254740995', temp: null }], delete: [...s.rows.keys()] }, 0);
  assert.equal(csv(s), 'site,window_start,window_end,n,temp\r\n"\'=HYPERLINK(""x"")",1970-01-01T00:00:00.000Z,1970-01-01T00:04:00.000Z,9007199254740995,\r\n');
  assert.equal(JSON.parse(json(s, 5)).rows[0].n, '9007199254740995');
  assert.equal(JSON.parse(json(s, 5)).complete_to, 2 * min);
  assert.equal(fileName(['demo', 'Ø by site/hour'], 0, 'csv'), 'demo-ø-by-site-hour-19700101T000000Z.csv');
});

test('a negative number is no formula', () => {
  const s = cities();
  s.apply('delta', { upsert: [{ _key: 'x', site: '-5', window_start: 0, window_end: 4 * min, n: -1, temp: -1.5 }], delete: [...s.rows.keys()] }, 0);
  assert.match(csv(s), /^-5,.*,-1,-1.5\r\n$/m);
});

test('what was an earlier while is moved over what is', () => {
  const lines = [{ name: 'a', points: [{ x: 10, y: 1 }, { x: 20, y: 2 }, { x: 30, y: 3 }] }];
  assert.deepEqual(shifted(lines, 10, 20, 30)[0].points.map((p) => [p.x, p.y]), [[20, 1], [30, 2]]);
  assert.equal(goesBack(cities(), 2 * min), true);
  assert.equal(goesBack(cities(), 3 * min), false);
  assert.equal(goesBack(cities({ history_ms: min }), 2 * min), false);
});

test('a ranking can be that of any window', () => {
  const s = cities();
  assert.equal(topk(s, { value: 'n', series: 'site' }, 5).at, 2 * min);
  assert.deepEqual(topk(s, { value: 'n', series: 'site' }, 5, min).items, [{ name: 'porto', value: 11 }, { name: 'oslo', value: 10 }]);
});

test('why this number: its window, its rows, how many', () => {
  const w = why(cities(), { value: 'temp', fn: 'avg' });
  assert.deepEqual(w.window, { start: min, end: 2 * min, open: false });
  assert.deepEqual([w.how, w.rows.length, w.counts], ['avg', 2, [{ name: 'n', sum: 41 }]]);
  assert.equal(why(cities(), { value: 'temp' }, 3 * min).window.open, true);
});

test('quantiles of a histogram are within 1 %', () => {
  const histogram = bins([{ le: '+Inf', count: 1 }, { le: 2, count: 0 }, ...Array.from({ length: 100 }, (_, i) => ({ le: (i + 1) * 1.0101, count: 1 }))]);
  const [p50, p99] = quantilesOf(histogram, [0.5, 0.99]);
  assert.ok(Math.abs(p50 / 50 - 1) < 0.01 && Math.abs(p99 / 99 - 1) < 0.01, `${p50} ${p99}`);
  assert.deepEqual(quantilesOf([], [0.5]), [null]);
});

test('histograms of a window are put together before quantiles are taken', () => {
  const s = cities();
  const upsert = [['oslo1', 10], ['porto1', 100]].map(([key, le]) => ({ ...s.rows.get(key), h: [{ le, count: key === 'oslo1' ? 9 : 1 }] }));
  s.apply('delta', { upsert, delete: [] }, 0);
  const { lines } = quantiles(s, { value: 'h', quantiles: [0.5, 1] });
  assert.deepEqual(lines.map((l) => [l.name, Math.round(l.points[0].y)]), [['p100', 99], ['p50', 10]]);
  const map = heat(s, { value: 'h' });
  assert.equal(map.columns.length, 1);
  assert.deepEqual(map.columns[0].cells.map((c) => c.v).sort(), [1, 9]);
  assert.ok(map.bounds[0] < 10 && map.bounds.at(-1) >= 100);
});

test('a heatmap of numbers has a row for each key', () => {
  const map = heat(cities(), { value: 'temp', series: 'site' });
  assert.deepEqual(map.rows, ['porto', 'oslo'], 'by name, from below');
  assert.deepEqual(map.columns.map((c) => [c.x / min, c.open, c.cells.length]), [[1, false, 2], [2, false, 2], [3, true, 2]]);
});

test('the hash of a row is that of the server', () => {
  assert.equal(fnv([]), 'cbf29ce484222325');
  assert.equal(fnv(new TextEncoder().encode('a')), 'af63dc4c8601ec8c');
  assert.equal(fnv(new TextEncoder().encode('foobar')), '85944171f73967e8');
  assert.equal(canonical({ b: [1, null, 'é"'], a: { y: 1e21, x: 0.1 } }), '{"a":{"x":0.1,"y":1e+21},"b":[1,null,"é\\""]}');
  assert.equal(hash({ n: 1, _key: 'x' }), '0c85d1734a1666a0'); // docs/protocol.md
  assert.equal(hash({ a: 1, _key: 'x' }), hash({ a: 1, _key: 'y' }));
});

test('a row that changes by patch; one that does not fit makes no row', () => {
  const s = cities();
  const row = s.rows.get('oslo1');
  const next = { ...row, n: 99 };
  const good = { _key: 'oslo1', base: hash(row), hash: hash(next), ops: [{ op: 'replace', path: '/n', value: 99 }] };
  assert.equal(s.apply('delta', { upsert: [], delete: [], patch: [good] }, 0), true);
  assert.equal(s.rows.get('oslo1').n, 99);
  assert.equal(s.rows.get('oslo1')._key, 'oslo1');
  assert.equal(s.apply('delta', { upsert: [], delete: [], patch: [good] }, 0), false, 'its base is another row now');
  assert.equal(s.apply('delta', { upsert: [], delete: [], patch: [{ ...good, base: hash(next), hash: 'f'.repeat(16) }] }, 0), false);
  assert.equal(s.rows.get('oslo1').n, 99);
});
