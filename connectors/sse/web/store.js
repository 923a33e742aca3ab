// The rows of one view, kept by the events of its stream: a reducer with a
// key. No DOM in here; testdata/page/store.mjs runs it in node.
//
//   hello ─▶ snapshot* ─▶ ready          the rows gathered replace all others
//   hello{resumed} ─▶ delta* ─▶ ready    the rows go on
//   delta, mark                          whenever they come
//
// Until ready the old rows stay: a reconnect never blanks the page.

import { Edits } from './edits.js';
import { apply as patched } from './patch.js';
import { hash } from './hash.js';

export class Store {
  constructor() {
    this.rows = new Map();        // _key → row
    this.hello = null;            // the last hello
    this.mark = null;             // the last mark
    this.markAt = 0;              // when it came, local ms
    this.skew = 0;                // the server's clock minus ours, ms
    this.ready = false;           // the rows were complete once
    this.version = 0;             // grows with every change of rows
    this.updates = 0;             // rows upserted or deleted, ever
    this.watermark = null;        // complete to here, epoch ms
    this.expireBefore = -Infinity;
    this.gathering = null;        // the snapshot under way
    this.edits = new Edits();     // local changes that the server has not shown yet
    this.presence = null;         // {count, principals}: who is watching
    this.clock = null;            // {at, exact}: where a replay is
    this.done = false;            // a replay has reached its end
  }

  // apply takes one event; now is the local time in ms. It gives false where
  // the rows can no longer be trusted (a patch that does not fit): the caller
  // starts the stream anew, without a cursor.
  apply(kind, data, now) {
    switch (kind) {
      case 'hello':
        if (this.hello && this.hello.epoch !== data.epoch) this.forgetTime();
        this.hello = data;
        this.skew = data.now - now;
        this.gathering = null;
        break;
      case 'snapshot':
        this.gathering ??= new Map();
        for (const row of data.rows) this.gathering.set(row._key, row);
        this.time(data);
        break;
      case 'ready':
        if (this.gathering) {
          this.rows = this.gathering;
          this.gathering = null;
          for (const key of this.edits.byKey.keys()) this.edits.settle(key, this.rows.get(key));
          this.trim();
        }
        this.ready = true;
        this.version++;
        break;
      case 'delta':
        for (const row of data.upsert) {
          this.rows.delete(row._key); // to the end: the newest change is last
          this.rows.set(row._key, row);
        }
        for (const key of data.delete) this.rows.delete(key);
        if (data.patch && !this.patch(data.patch)) return false;
        if (this.edits.size) this.settle(data);
        this.updates += data.upsert.length + data.delete.length + (data.patch?.length ?? 0);
        this.version++;
        this.time(data);
        this.trim();
        break;
      case 'mark':
        this.mark = data;
        this.markAt = now;
        this.skew = data.now - now;
        this.time(data);
        if (this.edits.expire(now)) this.version++;
        break;
      case 'presence':
        this.presence = data;
        break;
      case 'clock':
        this.clock = data;
        break;
      case 'done':
        this.done = true;
        break;
    }
    return true;
  }

  // patch changes rows by their differences. Each names the hash of the row it
  // is for and of what becomes of it; one that does not fit makes no row.
  patch(list) {
    for (const { _key: key, base, hash: after, ops } of list) {
      const row = this.rows.get(key);
      if (!row || hash(row) !== base) return false;
      let next;
      try { next = patched(row, ops); } catch { return false; }
      if (hash(next) !== after) return false;
      next._key = key;
      this.rows.delete(key);
      this.rows.set(key, next);
    }
    return true;
  }

  settle(data) {
    for (const row of data.upsert) this.edits.settle(row._key, row);
    for (const key of data.delete) this.edits.settle(key, undefined);
    for (const p of data.patch ?? []) this.edits.settle(p._key, this.rows.get(p._key));
  }

  // edit shows a change before the server has it: fields of a row, or null to
  // take it away. It gives an id for reject. See edits.js.
  edit(key, fields, now = Date.now(), ttl = 10000) {
    this.version++;
    return this.edits.add(key, fields, now, ttl);
  }

  // reject takes a local change back, as one that the server refused.
  reject(id) {
    if (this.edits.drop(id) != null) this.version++;
  }

  // shown are the rows with the local changes over them.
  get shown() { return this.edits.rows(this.rows); }

  // forgetTime: another epoch may begin at another time.
  forgetTime() {
    this.watermark = null;
    this.expireBefore = -Infinity;
  }

  // time takes the watermark and drops the rows of windows that are gone.
  time(data) {
    if (data.watermark != null) this.watermark = Math.max(this.watermark ?? -Infinity, data.watermark);
    if (data.expire_before == null || data.expire_before <= this.expireBefore) return;
    this.expireBefore = data.expire_before;
    this.trim();
  }

  trim() {
    const before = this.rows.size;
    if (this.hello?.windowed && this.expireBefore > -Infinity) {
      for (const [key, row] of this.rows) if (row.window_end < this.expireBefore) this.rows.delete(key);
    }
    if (this.rows.size !== before) this.version++;
  }

  // frozen gives a copy that later events do not change, for a paused page.
  frozen() {
    return Object.assign(Object.create(Store.prototype), this, { rows: new Map(this.rows), seen: null });
  }

  // view gives the store as panels draw it: local changes over the rows, and
  // only those that keep(row) keeps. It is made anew when something changed.
  view(keep) {
    if (!keep && !this.edits.size) return this;
    if (this.seen?.keep === keep && this.seen.version === this.version) return Object.assign(this.seen.store, this.seen.live(this));
    let rows = this.shown;
    if (keep) rows = new Map([...rows].filter(([, row]) => keep(row)));
    const store = Object.assign(Object.create(Store.prototype), this, { rows, seen: null });
    const live = ({ mark, markAt, skew, watermark }) => ({ mark, markAt, skew, watermark });
    this.seen = { keep, version: this.version, store, live };
    return store;
  }

  // snapshot gives the events that fill another store as this one is.
  snapshot() {
    if (!this.ready) return [];
    const events = [['hello', { ...this.hello, resumed: false }],
      ['snapshot', { rows: [...this.rows.values()], watermark: this.watermark, expire_before: this.expireBefore > -Infinity ? this.expireBefore : null }],
      ['ready', { row_count: this.rows.size }]];
    if (this.mark) events.push(['mark', this.mark]);
    if (this.presence) events.push(['presence', this.presence]);
    return events;
  }

  // age is how old the news is, in ms, or null before the first mark.
  age(now) {
    return this.mark ? this.mark.age_ms + (now - this.markAt) : null;
  }
}
