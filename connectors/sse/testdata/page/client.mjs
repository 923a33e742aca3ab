import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client } from '../web/client.js';

// A made-up EventSource, fetch and clock.
function world(random = () => 0.5, options = {}) {
  const w = { sources: [], timers: [], events: [], states: [], polls: [], at: 0 };
  w.EventSource = class {
    constructor(url) { this.url = url; this.readyState = 0; this.on = {}; w.sources.push(this); }
    addEventListener(kind, fn) { this.on[kind] = fn; }
    close() { this.readyState = 2; }
    opened() { this.readyState = 1; this.onopen(); }
    say(kind, data, id) { this.on[kind]({ data: JSON.stringify(data), lastEventId: id ?? '' }); }
    fail(closed) { this.readyState = closed ? 2 : 0; this.onerror(); }
  };
  w.client = new Client('/live/p/s', {
    EventSource: w.EventSource, random, now: () => w.at,
    fetch: (url) => new Promise((answer) => w.polls.push({ url, answer })),
    setTimeout: (fn, ms) => { const t = { fn, at: w.at + ms, ms }; w.timers.push(t); return t; },
    clearTimeout: (t) => { w.timers = w.timers.filter((x) => x !== t); },
    onEvent: (kind) => w.events.push(kind), onState: (s) => w.states.push(s), ...options,
  });
  // pass lets time go by, and calls what is due in order.
  w.pass = (ms) => {
    const until = w.at + ms;
    for (;;) {
      const due = w.timers.filter((t) => t.at <= until).sort((a, b) => a.at - b.at)[0];
      if (!due) break;
      w.timers = w.timers.filter((t) => t !== due);
      w.at = due.at;
      due.fn();
    }
    w.at = until;
  };
  w.last = () => w.sources.at(-1);
  return w;
}

const settled = () => new Promise((done) => setImmediate(done));

test('it is catching up until ready, then live', () => {
  const w = world();
  w.client.open();
  w.sources[0].opened();
  w.sources[0].say('hello', {});
  w.sources[0].say('snapshot', { rows: [] });
  assert.deepEqual(w.states, ['connecting', 'catching up']);
  w.sources[0].say('ready', {}, 'v1.e.AA');
  assert.deepEqual(w.states, ['connecting', 'catching up', 'live']);
  assert.deepEqual(w.events, ['hello', 'snapshot', 'ready']);
});

test('where the server said when to come again it is left to the browser', () => {
  for (const end of ['drain', 'full house']) {
    const w = world();
    w.client.open();
    w.sources[0].opened();
    if (end === 'drain') {
      w.sources[0].say('hello', {});
      w.sources[0].say('drain', { retry_ms: 1200 });
    }
    w.pass(2000);
    w.sources[0].fail(false);
    assert.equal(w.client.state, 'reconnecting');
    w.pass(60000);
    assert.equal(w.sources.length, 1, end);
  }
});

test('trap 16: a server without room: the reason is known, nobody hurries, nothing is taken for a cut line', () => {
  const w = world();
  w.client.open();
  for (let i = 0; i < 4; i++) {
    w.sources[0].opened();
    w.pass(5);
    w.sources[0].say('drain', { retry_ms: 30000, reason: 'capacity' });
    w.sources[0].fail(false);
    assert.deepEqual([w.client.state, w.client.reason, w.client.retryAt - w.at], ['reconnecting', 'capacity', 30000]);
    w.client.hurry();
    w.pass(30000);
  }
  assert.deepEqual([w.sources.length, w.polls.length], [1, 0], 'the browser comes again by itself');
  w.sources[0].opened();
  w.sources[0].say('hello', {});
  w.sources[0].say('ready', {}, 'v1.e.4');
  assert.deepEqual([w.client.state, w.client.reason], ['live', '']);
});

test('a line that breaks is opened anew, soon', () => {
  const w = world();
  w.client.open();
  w.sources[0].opened();
  w.sources[0].say('hello', {});
  w.sources[0].say('ready', {}, 'v1.e.4');
  w.pass(2000);
  w.sources[0].fail(false);
  assert.equal(w.client.state, 'reconnecting');
  w.pass(1000);
  assert.equal(w.last().url, '/live/p/s?cursor=v1.e.4');
});

test('a network that is back is not waited for', () => {
  const w = world(() => 1);
  w.client.open();
  for (let i = 0; i < 4; i++) { w.last().fail(true); w.pass(w.client.retryAt - w.at); }
  w.last().fail(true);
  const n = w.sources.length;
  w.client.hurry();
  assert.equal(w.sources.length, n + 1);
  w.client.hurry();
  assert.equal(w.sources.length, n + 1, 'once');
});

test('a closed one is opened anew, from the cursor, after a random wait', () => {
  const w = world();
  w.client.open();
  w.sources[0].opened();
  w.sources[0].say('ready', {}, 'v1.e.A+/');
  w.pass(3000);
  w.sources[0].fail(true);
  assert.equal(w.client.retryAt, w.at + 0.5 * 1000);
  w.pass(499);
  assert.equal(w.sources.length, 1);
  w.pass(1);
  assert.equal(w.sources[1].url, '/live/p/s?cursor=v1.e.A%2B%2F');
});

test('waits grow to half a minute, and are short again after a hello', () => {
  const w = world(() => 1);
  w.client.open();
  const waits = [];
  for (let i = 0; i < 45; i++) {
    w.last().fail(true);
    waits.push(w.client.retryAt - w.at);
    w.pass(waits.at(-1));
  }
  assert.deepEqual(waits, [...Array(40).fill(1000), 2000, 4000, 8000, 16000, 30000]); // at most: half of it on average
  w.last().say('hello', {});
  w.last().fail(true);
  assert.equal(w.client.retryAt - w.at, 1000);
});

test('an old source is not listened to', () => {
  const w = world();
  w.client.open();
  w.client.close();
  w.client.open();
  w.sources[0].say('delta', { upsert: [] });
  assert.deepEqual(w.events, []);
  assert.equal(w.client.state, 'connecting');
});

test('what is no JSON is left out', () => {
  const w = world();
  w.client.open();
  w.sources[0].on.delta({ data: '{', lastEventId: '' });
  assert.deepEqual(w.events, []);
});

test('trap 14: a proxy that holds events back: after three silent streams it polls', async () => {
  const w = world(() => 0);
  w.client.open();
  for (let i = 0; i < 3; i++) {
    assert.equal(w.client.transport, 'sse');
    w.last().opened();
    w.pass(5000); // no hello
    w.pass(1);
  }
  assert.equal(w.client.transport, 'poll');
  assert.equal(w.polls[0].url, '/live/p/s/poll');
  w.polls[0].answer({ status: 200, json: async () => [{ event: 'hello', data: {} }, { event: 'snapshot', data: { rows: [] } }, { event: 'ready', data: {}, id: 'v1.e.7' }] });
  await settled();
  assert.equal(w.client.state, 'live');
  assert.equal(w.polls[1].url, '/live/p/s/poll?cursor=v1.e.7');
  w.polls[1].answer({ status: 204 });
  await settled();
  w.pass(1000);
  await settled();
  assert.equal(w.polls.length, 3);
});

test('trap 14: a proxy that cuts streams within a second', () => {
  const w = world(() => 0);
  w.client.open();
  for (let i = 0; i < 3; i++) {
    w.last().opened();
    w.pass(400);
    w.last().fail(false);
  }
  assert.equal(w.client.transport, 'poll');
});

test('a stream that lived for a while is no sign of such a proxy', () => {
  const w = world(() => 0);
  w.client.open();
  for (let i = 0; i < 9; i++) {
    w.last().opened();
    w.last().say('hello', {});
    w.pass(2000);
    w.last().fail(false);
  }
  assert.equal(w.client.transport, 'sse');
});

test('after five minutes of polling it tries to stream again, and falls back at once', async () => {
  const w = world(() => 0);
  w.client.open();
  for (let i = 0; i < 3; i++) { w.last().opened(); w.pass(400); w.last().fail(false); }
  const before = w.sources.length;
  w.at += 300000;
  w.polls.at(-1).answer({ status: 200, json: async () => [{ event: 'ready', data: {} }] });
  await settled();
  assert.equal(w.sources.length, before + 1);
  w.last().opened();
  w.last().fail(false);
  assert.equal(w.client.transport, 'poll');
});

test('a poll that is refused is tried again later, and its status is known', async () => {
  const w = world(() => 1, { transport: 'poll' });
  w.client.open();
  w.polls[0].answer({ status: 401 });
  await settled();
  assert.equal(w.client.state, 'reconnecting');
  assert.equal(w.client.status, 401);
  w.pass(2000);
  assert.equal(w.polls.length, 2);
});

test('a line on which even the marks stop is dead', () => {
  const w = world(() => 0);
  w.client.open();
  w.sources[0].opened();
  w.sources[0].say('hello', {});
  w.sources[0].say('ready', {}, 'v1.e.1');
  w.pass(19000);
  w.sources[0].say('mark', {});
  w.pass(19999);
  assert.equal(w.sources.length, 1);
  w.pass(2);
  assert.equal(w.sources.length, 2);
});

test('a restart asks for all rows', () => {
  const w = world();
  w.client.open();
  w.sources[0].opened();
  w.sources[0].say('ready', {}, 'v1.e.1');
  w.client.restart();
  assert.equal(w.last().url, '/live/p/s');
});

test('a WebSocket carries the same frames', () => {
  const sockets = [];
  const w = world(() => 0, { transport: 'ws', WebSocket: class { constructor(url) { this.url = url; sockets.push(this); } close() {} } });
  w.client.path = 'https://x.example/live/p/s?key=a';
  w.client.open();
  assert.equal(sockets[0].url, 'wss://x.example/live/p/s/ws?key=a');
  sockets[0].onopen();
  for (const [event, data, id] of [['hello', {}], ['ready', {}, 'v1.e.3']]) sockets[0].onmessage({ data: JSON.stringify({ event, data, id }) });
  assert.equal(w.client.state, 'live');
  assert.equal(w.client.cursor, 'v1.e.3');
});
