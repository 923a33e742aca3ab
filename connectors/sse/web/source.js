// An EventSource over fetch, for what the browser's own cannot do: run in
// Node, and send headers (Authorization: Bearer …). It differs in one thing:
// any answer that is no event stream closes it, with the status to be read.

// parse reads event stream text as the WHATWG writes it down: feed it pieces,
// it calls dispatch({kind, data, id}) for each event..
export function parser(dispatch, onRetry = () => {}) {
  let rest = '', data = '', kind = '', id = '', first = true, cr = false;
  const line = (text) => {
    if (text === '') {
      if (data !== '') dispatch({ kind: kind || 'message', data: data.slice(0, -1), id });
      data = kind = '';
      return;
    }
    const colon = text.indexOf(':');
    if (colon === 0) return; // a comment
    const name = colon < 0 ? text : text.slice(0, colon);
    let value = colon < 0 ? '' : text.slice(colon + 1);
    if (value[0] === ' ') value = value.slice(1);
    if (name === 'data') data += value + '\n';
    else if (name === 'event') kind = value;
    else if (name === 'id') { if (!value.includes('\0')) id = value; } else if (name === 'retry' && /^\d+$/.test(value)) onRetry(+value);
  };
  return {
    feed(text) {
      if (first && text !== '') {
        first = false;
        if (text[0] === '\ufeff') text = text.slice(1);
      }
      if (cr && text[0] === '\n') text = text.slice(1); // the other half of a CR LF
      cr = text.endsWith('\r');
      const lines = (rest + text).split(/\r\n|\n|\r/);
      rest = lines.pop();
      for (const l of lines) line(l);
    },
    get id() { return id; },
  };
}

export class FetchSource {
  constructor(url, { headers = {}, fetch = globalThis.fetch, setTimeout = globalThis.setTimeout, credentials = 'same-origin' } = {}) {
    Object.assign(this, { url, headers, fetch, setTimeout, credentials });
    this.readyState = 0; // 0 connecting, 1 open, 2 closed, as EventSource has it
    this.status = 0;     // of the last answer
    this.retry = 3000;   // ms
    this.on = {};
    this.lastEventId = '';
    this.run();
  }

  addEventListener(kind, fn) { this.on[kind] = fn; }

  async run() {
    while (this.readyState !== 2) {
      await this.once();
      if (this.readyState === 2) return;
      this.readyState = 0;
      this.onerror?.();
      await new Promise((done) => this.setTimeout.call(globalThis, done, this.retry));
    }
  }

  // once reads one connection to its end.
  async once() {
    this.abort = new AbortController();
    const headers = { Accept: 'text/event-stream', ...this.headers };
    if (this.lastEventId) headers['Last-Event-ID'] = this.lastEventId;
    try {
      const answer = await this.fetch.call(globalThis, this.url, { headers, signal: this.abort.signal, credentials: this.credentials, cache: 'no-store' });
      this.status = answer.status;
      if (answer.status !== 200 || !answer.headers.get('content-type')?.startsWith('text/event-stream')) {
        this.abort.abort();
        if (this.readyState === 2) return;
        this.readyState = 2;
        this.onerror?.();
        return;
      }
      if (this.readyState === 2) return this.abort.abort();
      this.readyState = 1;
      this.onopen?.();
      const p = parser(({ kind, data, id }) => {
        this.lastEventId = id;
        if (this.readyState === 1) this.on[kind]?.({ data, lastEventId: id });
      }, (ms) => { this.retry = ms; });
      const text = new TextDecoder();
      for (const reader = answer.body.getReader(); ;) {
        const { done, value } = await reader.read();
        if (done) break;
        p.feed(text.decode(value, { stream: true }));
        this.lastEventId = p.id;
      }
    } catch { /* the line broke: once more */ }
  }

  close() {
    this.readyState = 2;
    this.abort?.abort();
  }
}
