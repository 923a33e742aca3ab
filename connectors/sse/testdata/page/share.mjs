import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Shared, taken } from '../web/share.js';

// Tabs of one browser: a lock, a channel, and a server that counts streams.
function browser() {
  const b = { queue: [], held: null, channels: new Set(), opened: 0, tabs: [], timers: [] };
  b.locks = {
    request(name, { signal }, fn) {
      return new Promise((done, fail) => {
        const entry = { fn, done };
        signal.addEventListener('abort', () => { b.queue = b.queue.filter((e) => e !== entry); fail(new Error('aborted')); });
        b.queue.push(entry);
        b.grant();
      });
    },
  };
  b.grant = () => {
    if (b.held || !b.queue.length) return;
    const entry = b.held = b.queue.shift();
    entry.fn().then(() => { b.held = null; entry.done(); b.grant(); });
  };
  b.BroadcastChannel = class {
    constructor(name) { this.name = name; b.channels.add(this); }
    postMessage(m) { for (const c of [...b.channels]) if (c !== this && c.name === this.name) c.onmessage({ data: structuredClone(m) }); }
    close() { b.channels.delete(this); }
  };
  // pass lets timers of at most ms fire: 30 asks, 2500 gives up.
  b.pass = (ms = 30) => { const due = b.timers.filter((t) => t.ms <= ms); b.timers = b.timers.filter((t) => t.ms > ms); for (const t of due) t.fn(); };
  b.tab = () => {
    const t = { events: [], clients: [] };
    t.shared = new Shared('/live/p/s', (handlers) => {
      const client = { cursor: '', retryAt: 0, open() { b.opened++; client.from = client.cursor; }, close() { client.closed = true; }, ...handlers };
      client.say = (kind, data, cursor) => { if (cursor) client.cursor = cursor; client.onEvent(kind, data); };
      t.clients.push(client);
      return client;
    }, {
      onEvent: (kind, data) => t.events.push([kind, data]), onState: () => {},
      snapshot: () => [['hello', { epoch: 'e' }], ['snapshot', { rows: t.events.length }], ['ready', {}]],
      BroadcastChannel: b.BroadcastChannel, locks: b.locks,
      setTimeout: (fn, ms) => { const x = { fn, ms }; b.timers.push(x); return x; },
      clearTimeout: (x) => { b.timers = b.timers.filter((t) => t !== x); },
    });
    b.tabs.push(t);
    return t;
  };
  return b;
}

const settled = () => new Promise((done) => setImmediate(done));

test('trap 13: two tabs, one connection', async () => {
  const b = browser();
  const one = b.tab(), two = b.tab();
  one.shared.open();
  await settled();
  b.pass();
  one.clients[0].say('hello', {});
  one.clients[0].say('ready', {}, 'v1.e.1');
  two.shared.open();
  b.pass();
  assert.deepEqual(two.events.map(([k]) => k), ['hello', 'snapshot', 'ready']);
  one.clients[0].say('delta', { n: 1 }, 'v1.e.2');
  assert.deepEqual(two.events.at(-1), ['delta', { n: 1 }]);
  assert.equal(two.shared.cursor, 'v1.e.2');
  assert.equal(b.opened, 1);
});

test('the follower takes over from its own cursor', async () => {
  const b = browser();
  const one = b.tab(), two = b.tab(), three = b.tab();
  one.shared.open();
  await settled();
  b.pass();
  two.shared.open();
  b.pass();
  three.shared.open();
  b.pass();
  one.clients[0].say('delta', {}, 'v1.e.5');
  one.shared.close();
  await settled();
  assert.equal(two.shared.role, 'leader');
  assert.equal(two.clients[0].from, 'v1.e.5');
  assert.equal(one.clients[0].closed, true);
  two.clients[0].say('delta', { n: 2 }, 'v1.e.6');
  assert.deepEqual(three.events.at(-1), ['delta', { n: 2 }]);
  assert.equal(b.opened, 2);
});

test('a leader that does not answer is not waited for', async () => {
  const b = browser();
  const one = b.tab(), two = b.tab();
  one.shared.open();
  await settled();
  b.pass();
  one.shared.channel.onmessage = () => {}; // frozen
  two.shared.open();
  b.pass(); // asks
  b.pass(2500); // gives up
  assert.equal(two.shared.role, 'alone');
  assert.equal(b.opened, 2);
});

test('a tab that went alone comes back when the leader is heard', async () => {
  const b = browser();
  const one = b.tab(), two = b.tab();
  one.shared.open();
  await settled();
  b.pass();
  two.shared.open();
  b.pass();
  b.pass(10000); // nothing heard for long
  assert.equal(two.shared.role, 'alone');
  one.clients[0].say('delta', { n: 1 }, 'v1.e.9');
  assert.equal(two.shared.role, 'follower');
  assert.equal(two.clients[0].closed, true);
  one.clients[0].say('delta', { n: 2 }, 'v1.e.10');
  assert.deepEqual(two.events.at(-1), ['delta', { n: 2 }]);
});

test('what a follower missed while nobody led is given again', async () => {
  const b = browser();
  const one = b.tab(), two = b.tab(), three = b.tab();
  for (const t of [one, two, three]) { t.shared.open(); await settled(); b.pass(); }
  one.shared.close();
  await settled();
  const before = three.events.length;
  assert.deepEqual(three.events.slice(-3).map(([k]) => k), ['hello', 'snapshot', 'ready']);
  assert.ok(before >= 6);
});

test('without locks every tab has its own stream', () => {
  const b = browser();
  b.locks = null;
  const t = b.tab();
  t.shared.locks = null;
  t.shared.open();
  assert.equal(t.shared.role, 'alone');
});

test('six tabs over HTTP/1.1: streams are counted, as they hold connections for good', () => {
  const locks = ['leat:/live/shop/a', 'leat:/live/shop/b?key=x%3Ay', 'another site\'s'].map((name) => ({ name }));
  assert.equal(taken('http/1.1', locks), 2);
  assert.equal(taken('h2', locks), -Infinity);
  assert.equal(taken(undefined, locks), -Infinity);
});
