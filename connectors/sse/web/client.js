// A stream that does not give up.
//
//	event stream ──3 short or silent ones──▶ long polling ──5 min──▶ event stream
//	     └─ closed: again, after a random wait, from the cursor
//
// EventSource reconnects by itself when the server said when (a drain, a full
// house), but stops for good at any status other than 200, and waits long when
// the line breaks; then this opens a new one. Where a proxy holds
// events back or cuts streams, it polls; where a page has more streams than
// HTTP/1.1 has connections, it may be told to use a WebSocket. There is no DOM
// in here: it runs in Node too.

import { FetchSource } from './source.js';

const kinds = ['hello', 'snapshot', 'ready', 'delta', 'mark', 'drain', 'presence', 'clock', 'done', 'error'];
const helloWithin = 5000;    // ms; a stream silent for longer is held back by something
const shortLife = 1000;      // ms; a stream that ends sooner was cut
const silent = 20000;        // ms; marks come each second: the line is dead
const pollFor = 5 * 60000;   // ms until streaming is tried again
const strikes = 3;           // short or silent streams until polling
const quick = 40;            // tries before waits grow: some twenty seconds

export class Client {
  // onEvent(kind, data) gets every event; onState(state, detail) gets
  // 'connecting', 'catching up', 'live', 'reconnecting' ({in: ms}), 'done', 'closed'.
  //
  // path is /live/{pipeline}/{sink}, with a query perhaps, or a function that
  // gives it; transport is 'sse', 'poll' or 'ws'; headers go with requests
  // where a browser's EventSource is not used (it has none); resume: false
  // never sends a cursor, for a path that says itself where to go on.
  constructor(path, { onEvent = () => {}, onState = () => {}, transport = 'sse', headers, cursor = '', resume = true, silence = silent,
    EventSource = headers || !globalThis.EventSource ? FetchSource : globalThis.EventSource,
    WebSocket = globalThis.WebSocket, fetch = globalThis.fetch, random = Math.random, now = Date.now,
    setTimeout = globalThis.setTimeout.bind(globalThis), clearTimeout = globalThis.clearTimeout.bind(globalThis) } = {}) {
    Object.assign(this, { path, onEvent, onState, transport, headers, cursor, resume, silence, EventSource, WebSocket, fetch, random, now, setTimeout, clearTimeout });
    this.wanted = transport;
    this.failures = 0;   // in a row, without a hello
    this.strikes = 0;    // streams in a row that were short or silent
    this.status = 0;     // of the last answer, where it is known
    this.reason = '';    // why the server ended the stream: its last drain's
    this.retryAt = 0;    // when the next try begins, by now()
    this.state = 'closed';
    this.line = null;    // what is open: replaced with each opening
    this.complete = false;
  }

  open() {
    this.shut();
    this.told = false;
    this.set(this.failures ? 'reconnecting' : 'connecting');
    this[this.transport]();
  }

  // close ends the stream; open goes on from the same cursor.
  close() {
    this.shut();
    this.set('closed');
  }

  // restart forgets the cursor: the next rows are a snapshot.
  restart() {
    this.cursor = '';
    this.open();
  }

  shut() {
    this.clearTimeout(this.timer);
    this.clearTimeout(this.watch);
    const line = this.line;
    this.line = null;
    line?.close();
  }

  url(tail = '') {
    const path = typeof this.path === 'function' ? this.path() : this.path;
    const at = path.indexOf('?');
    const base = at < 0 ? path : path.slice(0, at), query = at < 0 ? '' : path.slice(at + 1);
    const cursor = this.cursor && this.resume ? 'cursor=' + encodeURIComponent(this.cursor) : '';
    const all = [query, cursor].filter(Boolean).join('&');
    return base + tail + (all ? '?' + all : '');
  }

  sse() {
    const source = this.line = new this.EventSource(this.url(), this.headers ? { headers: this.headers } : undefined);
    let opened = null, heard = false;
    this.expect(source, helloWithin, () => this.struck(source));
    source.onopen = () => {
      if (source !== this.line) return;
      opened = this.now();
      heard = false;
      this.set('catching up');
      this.expect(source, helloWithin, () => this.struck(source));
    };
    source.onerror = () => {
      if (source !== this.line) return;
      this.clearTimeout(this.watch);
      this.failures++;
      this.status = source.status ?? 0;
      if (opened != null && this.now() - opened < shortLife && !this.drained) this.strikes++;
      else if (heard) this.strikes = 0;
      // The server ended it, and said when to come again: the browser knows.
      this.told = opened != null && (!!this.drained || !heard) && source.readyState !== 2;
      opened = null;
      if (this.strikes >= strikes) return this.fallBack();
      if (!this.told) return this.again();
      this.retryAt = this.now() + (this.drained?.retry_ms ?? 0);
      this.set('reconnecting', { in: this.drained?.retry_ms });
    };
    for (const kind of kinds) {
      source.addEventListener(kind, (e) => {
        if (source !== this.line || e.data == null) return;
        let data;
        try { data = JSON.parse(e.data); } catch { return; }
        heard = true;
        this.expect(source, this.silence, () => this.silent(source));
        this.take(kind, data, e.lastEventId);
      });
    }
  }

  // struck: no hello came. Something between us and the server holds it back.
  struck(source) {
    if (source !== this.line) return;
    this.failures++;
    if (++this.strikes >= strikes) return this.fallBack();
    this.again();
  }

  silent(source) {
    if (source !== this.line) return;
    this.failures++;
    this.again();
  }

  // fallBack goes over to polling, for a while.
  fallBack() {
    this.transport = 'poll';
    this.strikes = 0;
    this.backAt = this.now() + pollFor;
    this.open();
  }

  async poll() {
    const stop = new AbortController();
    const line = this.line = { close: () => stop.abort() };
    while (line === this.line) {
      if (this.wanted !== 'poll' && this.now() >= this.backAt) {
        this.transport = this.wanted;
        this.strikes = strikes - 1; // one more, and we are back here
        return this.open();
      }
      let frames = [];
      const asked = this.now();
      try {
        const answer = await this.fetch.call(globalThis, this.url('/poll'), { headers: this.headers, signal: stop.signal, credentials: 'same-origin', cache: 'no-store' });
        this.status = answer.status;
        if (answer.status !== 204) {
          if (answer.status !== 200) throw new Error('status ' + answer.status);
          frames = await answer.json();
        }
      } catch {
        if (line !== this.line) return;
        this.failures++;
        return this.again();
      }
      if (line !== this.line) return;
      this.failures = 0;
      for (const f of frames) {
        this.take(f.event, f.data, f.id);
        if (line !== this.line) return;
      }
      if (this.complete) this.set('live');
      // Who answers with nothing at once is not asked in a ring.
      const rest = frames.length ? 0 : 1000 - (this.now() - asked);
      if (rest > 0) await new Promise((done) => { this.timer = this.setTimeout(done, rest); });
    }
  }

  ws() {
    const url = new URL(this.url('/ws'), globalThis.location?.href);
    url.protocol = url.protocol.replace('http', 'ws');
    const socket = new this.WebSocket(url.href);
    const line = this.line = { close: () => socket.close() };
    this.expect(line, helloWithin, () => this.silent(line));
    socket.onopen = () => { if (line === this.line) this.set('catching up'); };
    socket.onmessage = (e) => {
      if (line !== this.line) return;
      let f;
      try { f = JSON.parse(e.data); } catch { return; }
      this.expect(line, this.silence, () => this.silent(line));
      this.take(f.event, f.data, f.id);
    };
    socket.onclose = () => {
      if (line !== this.line) return;
      this.failures++;
      // No socket at all: the stream is still there.
      if (!this.complete && this.failures >= strikes) this.transport = this.wanted = 'sse';
      this.again();
    };
  }

  // take hands on one event, and moves the cursor: the id of a frame is on its
  // last event, so rows and cursor never part.
  take(kind, data, id) {
    if (id) this.cursor = id;
    if (kind === 'hello') this.failures = 0;
    this.drained = kind === 'drain' ? data : null;
    if (this.drained) this.reason = data.reason ?? '';
    if (kind === 'ready') {
      this.complete = true;
      this.reason = '';
    }
    this.onEvent(kind, data);
    if (kind === 'ready') this.set('live');
    else if (kind === 'done') { this.shut(); this.set('done'); } else if (kind === 'drain' && this.transport === 'ws') {
      this.shut();
      this.told = true;
      this.wait(data.retry_ms ?? 1000);
    }
  }

  // expect calls late() unless something comes from this line within ms.
  expect(line, ms, late) {
    this.clearTimeout(this.watch);
    this.watch = this.setTimeout(() => { if (line === this.line) late(); }, ms);
  }

  // again opens after a full-jitter wait: a thousand pages that fail together
  // come back spread out. Quick tries for some twenty seconds, then longer waits.
  again() {
    this.shut();
    this.wait(this.random() * Math.min(30000, 1000 * 2 ** Math.max(0, Math.min(this.failures - quick, 5))));
  }

  // hurry tries now, where a wait was begun: somebody looks, or the network is
  // back. Not where the server said when to come again.
  hurry() {
    if (!this.told && this.retryAt - this.now() > 500) this.open();
  }

  wait(ms) {
    this.retryAt = this.now() + ms;
    this.set('reconnecting', { in: ms });
    this.timer = this.setTimeout(() => this.open(), ms);
  }

  set(state, detail = {}) {
    if (state !== 'reconnecting' || detail.in == null) this.retryAt = 0;
    if (state === this.state && state !== 'reconnecting') return;
    this.state = state;
    this.onState(state, detail);
  }
}
