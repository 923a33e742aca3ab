import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Store } from '../web/store.js';

const hello = (over = {}) => ({ epoch: 'e1', key: ['k'], schema: [], windowed: false, now: 1000, resumed: false, ...over });
const keys = (s) => [...s.rows.keys()].join(' ');
const row = (k, n, over = {}) => ({ _key: k, k, n, ...over });

function filled(over) {
  const s = new Store();
  s.apply('hello', hello(over), 0);
  s.apply('snapshot', { rows: [row('a', 1)] }, 0);
  s.apply('snapshot', { rows: [row('b', 2)] }, 0);
  s.apply('ready', {}, 0);
  return s;
}

test('a snapshot in two blocks is there at ready, not before', () => {
  const s = new Store();
  s.apply('hello', hello(), 0);
  s.apply('snapshot', { rows: [row('a', 1)] }, 0);
  assert.equal(s.rows.size, 0);
  assert.equal(s.ready, false);
  s.apply('ready', {}, 0);
  assert.equal(keys(s), 'a');
  assert.equal(s.ready, true);
});

test('a delta replaces, adds and deletes, also twice', () => {
  const s = filled();
  const delta = { upsert: [row('a', 9), row('c', 3)], delete: ['b', 'nobody'] };
  s.apply('delta', delta, 0);
  s.apply('delta', delta, 0);
  assert.equal(keys(s), 'a c');
  assert.equal(s.rows.get('a').n, 9);
});

test('a new snapshot replaces the rows only when it is whole', () => {
  const s = filled();
  s.apply('hello', hello({ epoch: 'e2' }), 0);
  s.apply('snapshot', { rows: [row('x', 1)] }, 0);
  assert.equal(keys(s), 'a b');
  s.apply('hello', hello({ epoch: 'e2' }), 0); // cut and come again
  s.apply('snapshot', { rows: [row('y', 1)] }, 0);
  s.apply('ready', {}, 0);
  assert.equal(keys(s), 'y');
});

test('a resume goes on with the rows', () => {
  const s = filled();
  s.apply('hello', hello({ resumed: true }), 0);
  s.apply('delta', { upsert: [row('c', 3)], delete: ['a'] }, 0);
  s.apply('ready', {}, 0);
  assert.equal(keys(s), 'b c');
});

test('windows are gone below expire_before, in deltas, marks and snapshots', () => {
  const s = new Store();
  s.apply('hello', hello({ windowed: true }), 0);
  s.apply('snapshot', { rows: [row('a', 1, { window_end: 10 }), row('b', 1, { window_end: 20 }), row('c', 1, { window_end: 30 })], expire_before: 20 }, 0);
  s.apply('ready', {}, 0);
  assert.equal(keys(s), 'b c');
  const before = s.version;
  s.apply('mark', { now: 1000, age_ms: 0, expire_before: 30, watermark: 40 }, 0);
  assert.equal(keys(s), 'c');
  assert.ok(s.version > before, 'panels are told');
  s.apply('delta', { upsert: [row('d', 1, { window_end: 25 })], delete: [] }, 0);
  assert.equal(keys(s), 'c');
});

test('a watermark never goes back, but another epoch begins anew', () => {
  const s = filled({ windowed: true });
  s.apply('mark', { now: 0, age_ms: 0, watermark: 50 }, 0);
  s.apply('mark', { now: 0, age_ms: 0, watermark: 40 }, 0);
  assert.equal(s.watermark, 50);
  s.apply('hello', hello({ epoch: 'e2', windowed: true }), 0);
  s.apply('mark', { now: 0, age_ms: 0, watermark: 10 }, 0);
  assert.equal(s.watermark, 10);
});

test('a frozen store stays as it was', () => {
  const s = filled();
  const f = s.frozen();
  s.apply('delta', { upsert: [row('c', 1)], delete: ['a'] }, 0);
  assert.equal(keys(f), 'a b');
  assert.equal(s.updates - f.updates, 2);
});

test('the news ages', () => {
  const s = filled();
  assert.equal(s.age(5000), null);
  s.apply('mark', { now: 0, age_ms: 300 }, 5000);
  assert.equal(s.age(7000), 2300);
});

test('names that JavaScript knows are ordinary keys', () => {
  const s = filled();
  s.apply('delta', { upsert: [row('__proto__', 1), row('constructor', 2)], delete: [] }, 0);
  assert.equal(keys(s), 'a b __proto__ constructor');
});

test('a local edit is shown at once, and settled by the server', () => {
  const s = filled();
  s.edit('a', { n: 5 }, 0);
  assert.equal(s.shown.get('a').n, 5);
  assert.equal(s.rows.get('a').n, 1, 'the server\'s rows are not touched');
  s.apply('delta', { upsert: [row('a', 3, { other: 1 })], delete: [] }, 0);
  assert.deepEqual([s.shown.get('a').n, s.shown.get('a').other], [5, 1], 'put on top of a newer row');
  s.apply('delta', { upsert: [row('a', 5)], delete: [] }, 0);
  assert.equal(s.shown.get('a')._pending, undefined);
  s.apply('delta', { upsert: [row('a', 6)], delete: [] }, 0);
  assert.equal(s.shown.get('a').n, 6);
});

test('a local edit that is refused, or that nobody answers, goes', () => {
  const s = filled();
  const id = s.edit('a', null, 0);
  s.edit('new', { n: 1 }, 0, 5000);
  assert.deepEqual([...s.shown.keys()], ['b', 'new']);
  s.reject(id);
  assert.deepEqual([...s.shown.keys()], ['a', 'b', 'new']);
  s.apply('mark', { now: 0, age_ms: 0 }, 5000);
  assert.deepEqual([...s.shown.keys()], ['a', 'b']);
});

test('of two edits of a row the later is shown, and the first settles alone', () => {
  const s = filled();
  s.edit('a', { n: 5 }, 0);
  s.edit('a', { n: 7 }, 0);
  s.apply('delta', { upsert: [row('a', 5)], delete: [] }, 0);
  assert.equal(s.shown.get('a').n, 7);
  s.apply('delta', { upsert: [row('a', 7)], delete: [] }, 0);
  assert.equal(s.edits.size, 0);
});

test('a snapshot settles edits, too', () => {
  const s = filled();
  s.edit('a', { n: 5 }, 0);
  s.apply('hello', hello(), 0);
  s.apply('snapshot', { rows: [row('a', 5)] }, 0);
  s.apply('ready', {}, 0);
  assert.equal(s.edits.size, 0);
});

test('another store is filled by the snapshot of one', () => {
  const s = filled({ windowed: true });
  s.apply('mark', { now: 5, age_ms: 0, watermark: 9 }, 0);
  const t = new Store();
  for (const [kind, data] of s.snapshot()) t.apply(kind, data, 0);
  assert.deepEqual([...t.rows], [...s.rows]);
  assert.equal(t.watermark, 9);
  assert.deepEqual(new Store().snapshot(), []);
});

test('a view of a store keeps what it is asked to, and sees new rows', () => {
  const s = filled();
  const keep = (r) => r.k !== 'b';
  assert.equal(keys(s.view(keep)), 'a');
  assert.equal(s.view(keep), s.view(keep));
  s.apply('delta', { upsert: [row('c', 1)], delete: [] }, 0);
  assert.equal(keys(s.view(keep)), 'a c');
  assert.equal(s.view(null), s);
});
