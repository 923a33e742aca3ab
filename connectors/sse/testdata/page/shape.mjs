import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decadesOf, stepsOf, timesOf, typicalStep } from '../web/chart.js';
import { full, short, since } from '../web/format.js';
import { pack, panelsOf, titleOf, unitOf } from '../web/layout.js';
import { columnsOf, combineOf, compare, isOpen, stat, timeseries, topk } from '../web/shape.js';
import { Store } from '../web/store.js';
import { judge } from '../web/judge.js';

const windowed = (rows, over = {}) => ({
  rows: new Map(rows.map((r, i) => [String(i), r])), watermark: 25,
  hello: { windowed: true, key: ['country', 'window_start', 'window_end'], schema: [{ name: 'country', type: 'string' }, { name: 'n', type: 'int' }] }, ...over,
});
const rows = [
  { country: 'DE', n: 4, window_end: 10 }, { country: 'FR', n: 1, window_end: 10 },
  { country: 'DE', n: 5, window_end: 20 }, { country: 'FR', n: 9, window_end: 20 },
  { country: 'DE', n: 1, window_end: 30 },
];

test('timeseries: a line per key, x is the window end, what may change is open', () => {
  const { lines, hidden, first, last } = timeseries(windowed(rows), { value: 'n' });
  assert.deepEqual(lines.map((l) => l.name), ['FR', 'DE']);
  assert.deepEqual(lines[1].points, [{ x: 10, y: 4, open: false }, { x: 20, y: 5, open: false }, { x: 30, y: 1, open: true }]);
  assert.deepEqual([hidden, first, last], [0, 10, 30]);
});

test('timeseries: only the top lines; no series is one line of all', () => {
  const top = timeseries(windowed(rows), { value: 'n' }, 1);
  assert.deepEqual([top.lines.length, top.hidden], [1, 1]);
  const one = timeseries(windowed(rows), { value: 'n', series: [] });
  assert.deepEqual(one.lines[0].points.map((p) => p.y), [5, 14, 1]);
});

test('final says more than the watermark', () => {
  assert.equal(isOpen({ window_end: 30, final: true }, 25), false);
  assert.equal(isOpen({ window_end: 20, final: false }, 25), true);
  assert.equal(isOpen({ window_end: 30 }, 25), true);
  assert.equal(isOpen({ window_end: 30 }, null), false);
});

test('names decide how values are put together', () => {
  const of = (value, fn) => combineOf({ value, fn });
  assert.deepEqual(['orders', 'revenue', 'p95_ms', 'avg_price', 'min_t', 'max', 'error_rate', 'mint'].map((v) => of(v)),
    ['sum', 'sum', 'max', 'avg', 'min', 'max', 'avg', 'sum']);
  assert.equal(of('p95_ms', 'sum'), 'sum');
  const s = windowed([{ country: 'DE', avg_x: 1, window_end: 10 }, { country: 'FR', avg_x: 3, window_end: 10 }]);
  assert.equal(stat(s, { value: 'avg_x' })[0].y, 2);
});

test('timeseries: those far from zero are shown, the highest first', () => {
  const s = windowed([['a', -9], ['b', 1], ['c', -2], ['d', 5]].map(([k, n]) => ({ _key: k, country: k, window_end: 10000, n })));
  assert.deepEqual(timeseries(s, { value: 'n', series: 'country' }, 3).lines.map((l) => l.name), ['d', 'c', 'a']);
});

test('topk: the newest closed window, greatest first, ties by name', () => {
  const t = topk(windowed(rows), { value: 'n', by: 'country' }, 1);
  assert.deepEqual(t, { at: 20, items: [{ name: 'FR', value: 9 }], rest: 1 });
  const plain = { rows: new Map([['b', { k: 'b', n: 1 }], ['a', { k: 'a', n: 1 }], ['c', { k: null, n: 2 }]]), hello: { key: ['k'] } };
  assert.deepEqual(topk(plain, { value: 'n' }).items.map((i) => i.name), ['none', 'a', 'b']);
});

test('columns: keys first, the window end, no bookkeeping', () => {
  assert.deepEqual(columnsOf(windowed(rows), {}).map((c) => c.name), ['country', 'n', 'window_end']);
  assert.deepEqual(columnsOf(windowed(rows), { value: 'n' }).map((c) => c.name), ['country', 'window_end', 'n']);
});

test('sorting: numbers by size, also as text; null last', () => {
  assert.deepEqual([10, '9007199254740995', null, 9].sort(compare), [9, 10, '9007199254740995', null]);
});

test('numbers', () => {
  assert.equal(short(16789, 'EUR'), '€16.8K');
  assert.equal(short(1234), '1,234');
  assert.equal(short(0.127), '0.13');
  assert.equal(short(129.71, 'ms'), '129.7 ms');
  assert.equal(short(61000, 'ms'), '61 s');
  assert.equal(short(1536, 'bytes'), '1.5 KiB');
  assert.equal(short(null), '–');
  assert.equal(full('9007199254740995'), '9,007,199,254,740,995');
  assert.equal(full('abc'), 'abc');
  assert.equal(since(4310), '4.3 s');
  assert.equal(since(600000), '10 min');
});

test('axes have round steps', () => {
  assert.deepEqual(stepsOf(0, 100, 4), [0, 25, 50, 75, 100]);
  assert.deepEqual(stepsOf(3, 3, 4), [3]);
  assert.deepEqual(decadesOf(3, 4000), [1, 10, 100, 1000, 10000]);
  assert.deepEqual(decadesOf(3, 40), [2, 5, 10, 20, 50]);
  const { times, step } = timesOf(61000, 300000, 4);
  assert.equal(step, 60000);
  assert.deepEqual(times, [120000, 180000, 240000, 300000]);
  assert.equal(typicalStep([{ x: 0 }, { x: 5 }, { x: 10 }, { x: 40 }]), 5);
});

test('a dashboard draws itself: one panel per number, and a table', () => {
  const view = { name: 'p/s', sink: 's', windowed: true, key: ['country', 'window_start', 'window_end'],
    schema: [{ name: 'country', type: 'string' }, { name: 'orders', type: 'int' }, { name: 'wait_ms', type: 'double' }, { name: 'window_end', type: 'timestamp' }] };
  const panels = panelsOf(null, [view]);
  assert.deepEqual(panels.map((p) => [p.type, p.value, p.title, p.view]), [
    ['timeseries', 'orders', 'Orders', 'p/s'], ['timeseries', 'wait_ms', 'Wait', 'p/s'], ['table', undefined, 'S', 'p/s']]);
  assert.equal(unitOf(panels[1]), 'ms');
  assert.equal(titleOf('avg_price'), 'Avg price');
  assert.equal(panelsOf({ panels: [{ type: 'stat', view: 's' }] }, [view])[0].view, 'p/s');
});

test('every row of the grid is full', () => {
  const widths = (...types) => pack(types.map((type) => ({ type }))).map((p) => p.width);
  assert.deepEqual(widths('stat', 'stat', 'stat', 'timeseries', 'topk', 'table'), [4, 4, 4, 7, 5, 12]);
  assert.deepEqual(widths('timeseries'), [12]);
  assert.deepEqual(widths('stat', 'stat', 'stat', 'stat', 'stat'), [4, 4, 4, 6, 6]);
});

test('two small panels beside a tall one stand on each other', () => {
  const packed = pack(panelsOf({ panels: ['timeseries', 'stat', 'stat', 'topk', 'table'].map((type) => ({ type })) }, []));
  assert.deepEqual(packed.map((p) => [p.id, p.width, p.stack]), [['p1', 6, undefined], ['p2', 3, 'p2'], ['p3', 3, 'p2'], ['p4', 3, undefined], ['p5', 12, undefined]]);
});

test('the truth is the worst of the streams', () => {
  const stream = (state, mark) => ({ client: { state }, store: { mark, age: () => mark?.age_ms ?? null } });
  const mark = (over) => ({ watermark: 100, lag_ms: 1, lag_records: 2, late: 1, dropped: 0, stalled: [], age_ms: 0, holding: 'o/1', ...over });
  assert.equal(judge([], 0).state, 'connecting');
  assert.equal(judge([stream('live', mark())], 0).state, 'live');
  assert.equal(judge([stream('live', mark({ age_ms: 12000 }))], 0).state, 'stale');
  assert.equal(judge([stream('live', mark()), stream('reconnecting', mark())], 0).state, 'reconnecting');
  assert.equal(judge([stream('live', mark())], 0, false).state, 'offline');
  const both = judge([stream('live', mark()), stream('live', mark({ watermark: 50, holding: 'o/7', lag_ms: 9 }))], 0);
  assert.deepEqual([both.watermark, both.holding, both.lag, both.records, both.late], [50, 'o/7', 9, 4, 2]);
});

test('trap 17: ints beyond 2^53 are put together exactly', () => {
  const s = new Store();
  s.apply('hello', { key: ['k'], windowed: false, now: 0 }, 0);
  s.apply('snapshot', { rows: [{ _key: 'a', k: 'a', n: '9007199254740993' }, { _key: 'b', k: 'b', n: 2 }, { _key: 'c', k: 'a', n: '9007199254740995' }] }, 0);
  s.apply('ready', {}, 0);
  assert.equal(stat(s, { value: 'n', fn: 'sum' })[0].exact, '18014398509481990');
  assert.equal(stat(s, { value: 'n', fn: 'max' })[0].exact, '9007199254740995');
  assert.equal(stat(s, { value: 'n', fn: 'min' })[0].exact, undefined, '2 is a number');
  assert.equal(stat(s, { value: 'n', fn: 'avg' })[0].exact, undefined);
  assert.deepEqual(topk(s, { value: 'n', series: 'k', fn: 'last' }).items.map((i) => i.exact ?? i.value), ['9007199254740995', 2]);
});
