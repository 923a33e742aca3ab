// A stream that does not give up. EventSource reconnects by itself after a
// broken line, but stops for good at any status other than 200; then this
// opens a new one, after a random wait, from the last cursor.

const kinds = ['hello', 'snapshot', 'ready', 'delta', 'mark', 'drain'];

export class Client {
  // onEvent(kind, data) gets every event; onState(state, detail) gets
  // 'connecting', 'catching up', 'live', 'reconnecting' ({in: ms}), 'closed'.
  constructor(path, { onEvent, onState, EventSource = globalThis.EventSource, random = Math.random,
    setTimeout = globalThis.setTimeout.bind(globalThis), clearTimeout = globalThis.clearTimeout.bind(globalThis) }) {
    Object.assign(this, { path, onEvent, onState, EventSource, random, setTimeout, clearTimeout });
    this.cursor = '';
    this.failures = 0;
    this.source = null;
    this.timer = null;
    this.state = 'closed';
  }

  open() {
    this.close(false);
    this.set(this.failures ? 'reconnecting' : 'connecting');
    const source = this.source = new this.EventSource(this.url());
    source.onopen = () => { if (source === this.source) this.set('catching up'); };
    source.onerror = () => { if (source === this.source) this.failed(source); };
    for (const kind of kinds) {
      source.addEventListener(kind, (e) => {
        if (source !== this.source) return;
        if (e.lastEventId) this.cursor = e.lastEventId;
        let data;
        try { data = JSON.parse(e.data); } catch { return; }
        if (kind === 'hello') this.failures = 0;
        this.onEvent(kind, data);
        if (kind === 'ready') this.set('live');
      });
    }
  }

  url() {
    if (!this.cursor) return this.path;
    return this.path + (this.path.includes('?') ? '&' : '?') + 'cursor=' + encodeURIComponent(this.cursor);
  }

  failed(source) {
    this.failures++;
    if (source.readyState !== 2) { // CONNECTING: the browser is at it
      this.set('reconnecting');
      return;
    }
    // Full jitter: a thousand pages that fail together come back spread out.
    const wait = this.random() * Math.min(30000, 1000 * 2 ** Math.min(this.failures, 5));
    this.set('reconnecting', { in: wait });
    this.clearTimeout(this.timer);
    this.timer = this.setTimeout(() => this.open(), wait);
  }

  // close ends the stream; open goes on from the same cursor.
  close(tell = true) {
    this.clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
    if (tell) this.set('closed');
  }

  set(state, detail = {}) {
    if (state === this.state && state !== 'reconnecting') return;
    this.state = state;
    this.onState(state, detail);
  }
}
