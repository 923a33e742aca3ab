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
