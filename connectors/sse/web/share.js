// One stream for all tabs of a browser: HTTP/1.1 gives a site six connections.
//
//	tab A holds the lock ─▶ Client ─▶ its own page
//	                          └─ BroadcastChannel ─▶ tabs B, C
//	tab A goes away ─▶ tab B gets the lock, goes on from its own cursor
//
// A follower asks to be let in and gets the leader's rows as they are, then
// every event after them: a channel keeps one sender's messages in order. A
// leader that is not heard is not waited for. No DOM in here.

const patience = 10000; // ms; marks come each second
const answerWithin = 2500; // ms

// taken counts the streams that this browser's tabs hold: over HTTP/1.1 a site
// has six connections, and each stream keeps one for good. Else there is no end
// of them.
export function taken(protocol, locks) {
  return protocol === 'http/1.1' ? locks.filter((l) => l.name.startsWith('leat:/live/')).length : -Infinity;
}

export class Shared {
  // make({onEvent, onState}) gives a Client; snapshot() the page's rows as
  // events: [[kind, data], …]. The rest is as with a Client.
  constructor(name, make, { onEvent, onState, snapshot, BroadcastChannel = globalThis.BroadcastChannel, locks = globalThis.navigator?.locks,
    now = Date.now, random = Math.random,
    setTimeout = globalThis.setTimeout.bind(globalThis), clearTimeout = globalThis.clearTimeout.bind(globalThis) }) {
    Object.assign(this, { name, make, onEvent, onState, snapshot, BroadcastChannel, locks, now, setTimeout, clearTimeout });
    this.id = random().toString(36).slice(2);
    this.state = 'closed';
    this.role = 'none'; // 'leader', 'follower', 'alone'
    this.cursor = '';
    this.retryAt = 0;
    this.heard = ''; // the leader's reason
    this.client = null;
    this.followers = new Set();
  }

  get transport() { return this.client?.transport ?? 'shared'; }
  get failures() { return this.client?.failures ?? 0; }
  get status() { return this.client?.status ?? 0; }
  get reason() { return this.client ? this.client.reason : this.heard; }

  open() {
    if (this.state !== 'closed') return;
    if (!this.BroadcastChannel || !this.locks) return this.run('alone');
    this.channel = new this.BroadcastChannel('leat:' + this.name);
    this.channel.onmessage = (e) => this.receive(e.data);
    this.abort = new AbortController();
    this.welcome = false;
    this.role = 'follower';
    this.set('connecting');
    let answered = false;
    this.locks.request('leat:' + this.name, { signal: this.abort.signal }, () => new Promise((release) => {
      answered = true;
      this.release = release;
      if (this.role !== 'none') this.run('leader');
      else release();
    })).catch(() => {}); // aborted: we are closed
    // The lock comes at once if it is free; else somebody has it: ask them.
    this.setTimeout(() => {
      if (answered || this.role !== 'follower') return;
      this.post({ join: this.id });
      this.expect(answerWithin);
    }, 30);
  }

  // run opens a stream of our own, from where we are.
  run(role) {
    this.clearTimeout(this.timer);
    const had = this.client;
    this.role = role;
    if (role === 'leader') this.post({ leads: this.id, cursor: this.cursor });
    if (had) return;
    this.client = this.make({
      onEvent: (kind, data) => {
        this.cursor = this.client.cursor;
        this.onEvent(kind, data);
        if (this.role === 'leader' && this.followers.size) this.post({ event: [kind, data], cursor: this.cursor });
      },
      onState: (state, detail) => {
        this.retryAt = this.client.retryAt;
        this.set(state, detail);
        if (this.role === 'leader' && this.followers.size) this.post({ state, retryAt: this.retryAt, reason: this.reason });
      },
    });
    this.client.cursor = this.cursor;
    this.client.open();
  }

  receive(m) {
    if (this.role === 'leader') {
      if (m.join) {
        this.followers.add(m.join);
        this.post({ to: m.join, events: this.snapshot(), cursor: this.cursor, state: this.state, retryAt: this.retryAt, reason: this.reason });
      }
      if (m.leaves) this.followers.delete(m.leaves);
      return;
    }
    if (this.role === 'alone' && m.event) return this.rejoin();
    if (this.role !== 'follower') return;
    if (m.leads) {
      // Another tab took over. It goes on from its cursor; if that is not ours,
      // what lies between is not sure: ask for its rows.
      this.welcome = false;
      this.post({ join: this.id });
      this.expect(answerWithin);
    } else if (m.to === this.id) {
      this.welcome = true;
      for (const [kind, data] of m.events) this.onEvent(kind, data);
      this.follow(m);
    } else if (this.welcome && (m.event || m.state)) {
      if (m.event) this.onEvent(...m.event);
      this.follow(m);
    }
  }

  // rejoin gives up a stream of our own: the leader is heard again.
  rejoin() {
    const own = this.client;
    this.client = null;
    own.onEvent = own.onState = () => {};
    own.close();
    this.role = 'follower';
    this.welcome = false;
    this.post({ join: this.id });
    this.expect(answerWithin);
  }

  follow(m) {
    this.expect(patience);
    if (m.cursor) this.cursor = m.cursor;
    if (m.state) {
      this.retryAt = m.retryAt ?? 0;
      this.heard = m.reason ?? '';
      this.set(m.state);
    }
  }

  // expect: a leader that says nothing is gone, frozen or too old for us.
  expect(ms) {
    this.clearTimeout(this.timer);
    this.timer = this.setTimeout(() => { if (this.role === 'follower') this.run('alone'); }, ms);
  }

  restart() { this.client?.restart(); }

  hurry() { this.client?.hurry(); }

  // close lets another tab lead; open goes on from the cursor.
  close() {
    this.clearTimeout(this.timer);
    this.post({ leaves: this.id });
    this.role = 'none';
    this.client?.close();
    this.client = null;
    this.followers.clear();
    this.abort?.abort();
    this.release?.();
    this.release = null;
    this.channel?.close();
    this.channel = null;
    this.set('closed');
  }

  post(message) { this.channel?.postMessage(message); }

  set(state, detail = {}) {
    if (state === this.state && state !== 'reconnecting') return;
    this.state = state;
    this.onState(state, detail);
  }
}
