// The rows of one view, kept by the events of its stream. No DOM in here:
// store_test.mjs runs it in node.
//
//   hello ─▶ snapshot* ─▶ ready          the rows gathered replace all others
//   hello{resumed} ─▶ delta* ─▶ ready    the rows go on
//   delta, mark                          whenever they come
//
// Until ready the old rows stay: a reconnect never blanks the page.

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
  }

  // apply takes one event; now is the local time in ms.
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
        this.updates += data.upsert.length + data.delete.length;
        this.version++;
        this.time(data);
        this.trim();
        break;
      case 'mark':
        this.mark = data;
        this.markAt = now;
        this.skew = data.now - now;
        this.time(data);
        break;
    }
  }

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
    return Object.assign(Object.create(Store.prototype), this, { rows: new Map(this.rows) });
  }

  // age is how old the news is, in ms, or null before the first mark.
  age(now) {
    return this.mark ? this.mark.age_ms + (now - this.markAt) : null;
  }
}
