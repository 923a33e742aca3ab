// Local changes that are shown before the server has them. A page that writes
// (by an API of its own; a view is read only) puts the change here, and the
// server's version, when it comes through the stream, settles it.
//
//	edit(key, {status: "done"})   the row is shown with it at once
//	server's row has it           settled: the overlay goes
//	server's row is another       the edit is put on top of the newer row
//	reject(id), or ttl ms pass    the server's row is shown again
//
// Pure; part of Store.

export class Edits {
  constructor() {
    this.byKey = new Map(); // _key → [{id, fields, until}]
    this.next = 1;
  }

  get size() { return this.byKey.size; }

  // add gives the edit's id. fields null hides the row: a delete. A key that
  // is not there is a new row.
  add(key, fields, now, ttl = 10000) {
    const id = this.next++;
    const list = this.byKey.get(key) ?? [];
    list.push({ id, fields, until: now + ttl });
    this.byKey.set(key, list);
    return id;
  }

  // drop takes an edit away: refused, or known to be done. It tells the key.
  drop(id) {
    for (const [key, list] of this.byKey) {
      const i = list.findIndex((e) => e.id === id);
      if (i < 0) continue;
      list.splice(i, 1);
      if (!list.length) this.byKey.delete(key);
      return key;
    }
    return null;
  }

  // settle drops the edits of a key which the server's row shows to be done,
  // and with one all before it: the server applied them in order.
  settle(key, row) {
    const list = this.byKey.get(key);
    if (!list) return;
    let done = -1;
    list.forEach((e, i) => {
      const has = e.fields === null ? row === undefined : row !== undefined && Object.keys(e.fields).every((f) => equal(row[f], e.fields[f]));
      if (has) done = i;
    });
    list.splice(0, done + 1);
    if (!list.length) this.byKey.delete(key);
  }

  // expire drops the edits that nobody answered, and tells whether any were.
  expire(now) {
    let any = false;
    for (const [key, list] of this.byKey) {
      const left = list.filter((e) => e.until > now);
      any ||= left.length < list.length;
      if (left.length) this.byKey.set(key, left);
      else this.byKey.delete(key);
    }
    return any;
  }

  // over gives a row as it is shown: undefined is no row.
  over(key, row) {
    for (const e of this.byKey.get(key) ?? []) row = e.fields === null ? undefined : { ...row, ...e.fields, _key: key, _pending: true };
    return row;
  }

  // rows gives all rows as they are shown; the same map where nothing is pending.
  rows(rows) {
    if (!this.byKey.size) return rows;
    const shown = new Map(rows);
    for (const key of this.byKey.keys()) {
      const row = this.over(key, rows.get(key));
      if (row === undefined) shown.delete(key);
      else shown.set(key, row);
    }
    return shown;
  }
}

const equal = (a, b) => a === b || JSON.stringify(a) === JSON.stringify(b);
