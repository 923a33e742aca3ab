import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client } from '../web/client.js';

// A made-up EventSource and clock.
function world(random = () => 0.5) {
  const w = { sources: [], timers: [], events: [], states: [] };
  w.EventSource = class {
    constructor(url) { this.url = url; this.readyState = 0; this.on = {}; w.sources.push(this); }
    addEventListener(kind, fn) { this.on[kind] = fn; }
    close() { this.readyState = 2; }
    opened() { this.readyState = 1; this.onopen(); }
    say(kind, data, id) { this.on[kind]({ data: JSON.stringify(data), lastEventId: id ?? '' }); }
    fail(closed) { this.readyState = closed ? 2 : 0; this.onerror(); }
  };
  w.client = new Client('/live/p/s', {
    EventSource: w.EventSource, random,
    setTimeout: (fn, ms) => w.timers.push({ fn, ms }), clearTimeout: () => {},
    onEvent: (kind, data) => w.events.push(kind), onState: (s) => w.states.push(s),
  });
  return w;
}

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

test('a broken line is left to the browser', () => {
  const w = world();
  w.client.open();
  w.sources[0].opened();
  w.sources[0].fail(false);
  assert.equal(w.client.state, 'reconnecting');
  assert.equal(w.timers.length, 0);
});

test('a closed one is opened anew, from the cursor, after a random wait', () => {
  const w = world();
  w.client.open();
  w.sources[0].opened();
  w.sources[0].say('ready', {}, 'v1.e.A+/');
  w.sources[0].fail(true);
  assert.equal(w.timers[0].ms, 0.5 * 2000);
  w.timers[0].fn();
  assert.equal(w.sources[1].url, '/live/p/s?cursor=v1.e.A%2B%2F');
});

test('waits grow to half a minute, and are short again after a hello', () => {
  const w = world(() => 1);
  w.client.open();
  for (let i = 0; i < 8; i++) {
    w.sources.at(-1).fail(true);
    w.timers.at(-1).fn();
  }
  assert.equal(w.timers.at(-1).ms, 30000);
  w.sources.at(-1).say('hello', {});
  w.sources.at(-1).fail(true);
  assert.equal(w.timers.at(-1).ms, 2000);
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
