// A session that ends while the page is open.

import assert from 'node:assert/strict';
import { test } from 'node:test';

globalThis.addEventListener ??= () => {};
const { Session } = await import('../web/session.js');

function world(answers, at = Date.now()) {
  const w = { asked: [], changes: [] };
  globalThis.location = { pathname: '/d/shop', search: '?range=5m' };
  globalThis.fetch = async (url, options) => {
    w.asked.push((options?.method ?? 'GET') + ' ' + url);
    const [status, body] = answers.length > 1 ? answers.shift() : answers[0];
    return { status, ok: status < 300, json: async () => body, headers: new Headers({ date: new Date(at).toUTCString() }) };
  };
  globalThis.document ??= { createElement: () => ({ classList: { add() {}, remove() {} }, setAttribute() {}, append() {} }), getElementById: () => ({ classList: { add() {}, remove() {} } }), body: { append() {} } };
  w.session = new Session((back) => w.changes.push(back));
  return w;
}

test('trap 15: a token that expires leaves a link to sign in, and the place to come back to', async () => {
  const w = world([[200, { name: 'eve' }], [401], [200]]);
  await w.session.check(0);
  assert.equal(w.session.name, 'eve');
  await w.session.check(10000);
  assert.equal(w.session.out, true);
  assert.deepEqual(w.changes, [false, false]);
  assert.equal(w.session.login, '/auth/login?next=%2Fd%2Fshop%3Frange%3D5m');
});

test('where nobody signs in there is nothing to offer', async () => {
  const w = world([[401], [404]]);
  await w.session.check(0);
  assert.deepEqual([w.session.known, w.session.out, w.changes.length], [false, false, 0]);
});

test('the end of a session is reckoned by the server\'s clock', async () => {
  const hour = 3600000, server = Date.now() - hour; // this device is an hour ahead
  const w = world([[200, { name: 'eve', expires: (server + 60000) / 1000 }]], server);
  let wait;
  const set = globalThis.setTimeout;
  globalThis.setTimeout = (fn, ms) => { wait = ms; return 0; };
  try { await w.session.check(); } finally { globalThis.setTimeout = set; }
  assert.ok(wait > 55000 && wait < 65000, `it looks again in ${wait} ms`);
});
