// The client for programs: a stream and its rows in one. It runs in browsers
// and in Node, and imports nothing but what lies beside it.
//
//	import { live } from 'http(s)://server/assets/live.js'   // or a copy of the files
//	const view = live('/live/shop/revenue', { onChange: (v) => draw(v.rows) });
//	view.rows      Map of _key → row, local edits included
//	view.mark      how complete it is: watermark, lag, late, dropped
//	view.state     'live', 'catching up', 'reconnecting', …
//	view.edit(key, {status: 'done'})   shown at once, settled by the server's row
//	view.close()

import { Client } from './client.js';
import { Store } from './store.js';

export { Client } from './client.js';
export { Store } from './store.js';
export { FetchSource } from './source.js';

export function live(path, options = {}) { return new LiveView(path, options); }

export class LiveView {
  // options are Client's (headers, transport, cursor, …) and onChange(view),
  // onState(state, view), patches (true: rows change by JSON Patch).
  constructor(path, { onChange = () => {}, onState = () => {}, patches = false, now = Date.now, ...options } = {}) {
    this.store = new Store();
    this.now = now;
    this.onChange = onChange;
    if (patches) path += (path.includes('?') ? '&' : '?') + 'format=json-patch';
    this.client = new Client(path, {
      ...options,
      now,
      onEvent: (kind, data) => {
        const version = this.store.version;
        if (!this.store.apply(kind, data, this.now())) return this.client.restart();
        if (this.store.version !== version || kind === 'mark') onChange(this);
      },
      onState: (state) => onState(state, this),
    });
    this.client.open();
  }

  get rows() { return this.store.shown; }
  get mark() { return this.store.mark; }
  get hello() { return this.store.hello; }
  get state() { return this.client.state; }
  get cursor() { return this.client.cursor; }

  edit(key, fields, ttl) {
    const id = this.store.edit(key, fields, this.now(), ttl);
    this.onChange(this);
    return id;
  }

  reject(id) {
    this.store.reject(id);
    this.onChange(this);
  }

  close() { this.client.close(); }
}
