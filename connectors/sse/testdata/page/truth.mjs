// What the page says of itself when something is wrong: each bad condition has
// a state, and a sentence that an analyst can read.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { because, completeness, judge } from '../web/judge.js';
import { Store } from '../web/store.js';

const start = 1700000000000;

// A page with one stream, whose rows came at `start` by this device's clock.
function page(over = {}, hello = {}) {
  const store = new Store();
  store.apply('hello', { epoch: 'e', view: 'shop/sales', key: ['shop'], windowed: true, now: start, ...hello }, start);
  store.apply('snapshot', { rows: [{ _key: 'a', shop: 'a', window_end: start }], watermark: start }, start);
  store.apply('ready', {}, start);
  store.apply('mark', { watermark: start, lag_ms: 900, lag_records: 0, late: 0, dropped: 0, stalled: [], age_ms: 500, now: start, ...over }, start);
  const client = { state: 'live', transport: 'sse', retryAt: 0, reason: '' };
  const look = (now = start + 500, online = true) => {
    const t = judge([{ client, store }], now, online);
    const said = Object.fromEntries(completeness(t, { clock: (ms) => new Date(ms).toISOString().slice(11, 19) }).filter((f) => f.shown).map((f) => [f.name, f.value]));
    return { ...t, says: because(t), said };
  };
  return { store, client, look };
}

test('all is well: live, how far, and no sentence', () => {
  const { state, says, said } = page().look();
  assert.equal(state, 'live');
  assert.equal(says, '');
  assert.deepEqual(said, { 'complete to': '22:13:20', behind: '0.9 s', late: '0 rows', dropped: '0 rows' });
});

test('before the first mark nothing is claimed: no zeros, no end', () => {
  const store = new Store();
  store.apply('hello', { view: 'p/v', epoch: 'e', now: start }, start);
  const said = (t) => completeness(t, { clock: String }).filter((f) => f.shown).map((f) => f.value);
  assert.deepEqual(said(judge([{ client: { state: 'catching up' }, store }], start)), ['–', '–', '–', '–']);
  assert.deepEqual(said(judge([], start)), ['–', '–', '–', '–']);
});

test('a task that stalls is named, and so are its rows', () => {
  const p = page({ stalled: [3], age_ms: 7000 });
  const t = p.look();
  assert.equal(t.state, 'stale');
  assert.match(t.says, /task 3 of the pipeline has said nothing/);
  assert.equal(t.said['held back by'], 'task 3, not heard');
});

test('many tasks are counted, and each once where several views tell of it', () => {
  const a = page({ stalled: [0, 1, 2, 3, 4, 5], age_ms: 7000 });
  assert.match(a.look().says, /6 tasks of the pipeline have said/);
  const two = judge([a, page({ stalled: [1, 0] })], start);
  assert.deepEqual(two.stalled, [0, 1, 2, 3, 4, 5]);
});

test('a half-open line: nothing comes, though it looks open', () => {
  const t = page().look(start + 8000);
  assert.equal(t.state, 'stale');
  assert.match(t.says, /Nothing comes from the server, though the line looks open/);
});

test('Kafka or the workers away: the server answers, the pipeline does not', () => {
  const p = page();
  p.store.apply('mark', { ...p.store.mark, age_ms: 40000, stalled: [0, 1], now: start + 40000 }, start + 40000);
  const t = p.look(start + 40500);
  assert.equal(t.state, 'stale');
  assert.match(t.says, /The server answers, but tasks 0 and 1 of the pipeline have said nothing/);
  assert.equal(Math.round(t.age / 1000), 41);
  p.store.apply('mark', { ...p.store.mark, trouble: 'no_read' }, start + 41000);
  assert.match(p.look(start + 41500).says, /cannot read the view shop\/sales from Kafka/);
  p.store.apply('mark', { ...p.store.mark, age_ms: 200, stalled: [], trouble: undefined }, start + 42000);
  assert.equal(p.look(start + 42500).state, 'live');
});

test('a view whose topic was deleted keeps its rows and says so', () => {
  const p = page({ trouble: 'no_topic', age_ms: 60000, stalled: [0] });
  const t = p.look();
  assert.equal(t.state, 'stale');
  assert.match(t.says, /The topic of the view shop\/sales is not there/);
  assert.equal(p.store.rows.size, 1);
});

test('trap 16: a server without room is told from one that is away', () => {
  for (const reason of ['capacity', 'viewer_cap', 'replays']) {
    const p = page();
    Object.assign(p.client, { state: 'reconnecting', reason });
    assert.equal(p.look().state, 'full');
    assert.match(p.look().says, /no room for another viewer/);
  }
  const p = page();
  Object.assign(p.client, { state: 'reconnecting', reason: 'life' });
  assert.equal(p.look().state, 'reconnecting');
  assert.equal(p.look().says, '', 'a stream that is renewed is no news');
  assert.match(p.look(start + 9000).says, /cannot be reached.*What was missed comes/);
});

test('a server that was never reached, and no network at all', () => {
  const none = judge([{ client: { state: 'reconnecting' }, store: new Store() }], start);
  assert.equal(because(none), '', 'the first moments');
  assert.match(because({ ...none, age: 5000 }), /cannot be reached; trying again/);
  const t = page().look(start, false);
  assert.equal(t.state, 'offline');
  assert.match(t.says, /no network/);
});

test('trap 14: a page that polls says so, and is live', () => {
  const p = page();
  p.client.transport = 'poll';
  assert.equal(p.look().state, 'live');
  assert.equal(p.look().said.connection, 'polling');
});

test('a clock that is wrong is named, and ages are right all the same', () => {
  const p = page({ now: start - 300000 }, { now: start - 300000 }); // the device is five minutes ahead
  assert.equal(p.store.skew, -300000);
  const t = p.look(start + 1000);
  assert.equal(t.said['your clock'], '5 min ahead');
  assert.equal(t.state, 'live', 'the age is the server\'s');
  assert.equal(t.age, 1500);
  assert.equal(page({ now: start + 2000 }).look().said['your clock'], undefined, 'two seconds are nobody\'s business');
  assert.equal(page({ now: start + 60000 }, { now: start + 60000 }).look().said['your clock'], '60 s behind');
});

test('what holds everything back is named while it does', () => {
  assert.equal(page({ holding: 'orders/3', lag_ms: 70000 }).look().said['held back by'], 'orders/3');
  assert.equal(page({ holding: 'orders/3', idle: true }).look().said['held back by'], undefined);
  assert.equal(page({ ended: true }).look().said['complete to'], 'the end');
  assert.equal(page({ rest: 12 }).look().said['not shown'], '12 rows');
});

test('sentences do not change by the second: they are read out', () => {
  const p = page({ stalled: [0], age_ms: 9000 });
  assert.equal(p.look(start + 100).says, p.look(start + 3900).says);
});
