// Reads a live view with the eventsource package: node eventsource.mjs URL.
// Prints the orders by shop, and whether a second connection with the cursor
// of the first was a resume.

import { EventSource } from 'eventsource';

function follow(url, cursor) {
  return new Promise((resolve, reject) => {
    const limit = setTimeout(() => reject(new Error('no mark within 30 s')), 30000);
    const rows = new Map();
    let at = cursor, resumed, ready = false;
    const source = new EventSource(url, { fetch: (to, init) => fetch(to, cursor ? { ...init, headers: { ...init.headers, 'Last-Event-ID': cursor } } : init) });
    const on = (name, then) => source.addEventListener(name, (e) => { at = e.lastEventId || at; then(JSON.parse(e.data)); });
    on('hello', (d) => { resumed = d.resumed; });
    on('snapshot', (d) => { for (const r of d.rows) rows.set(r._key, r); });
    on('delta', (d) => {
      for (const r of d.upsert) rows.set(r._key, r);
      for (const key of d.delete) rows.delete(key);
    });
    on('ready', () => { ready = true; });
    on('mark', () => {
      if (!ready) return;
      clearTimeout(limit);
      source.close();
      resolve({ rows, at, resumed });
    });
  });
}

const url = process.argv[2];
const first = await follow(url);
const second = await follow(url, first.at);
console.log(JSON.stringify({ orders: Object.fromEntries([...first.rows.values()].map((r) => [r.shop, Number(r.orders)])), resumed: second.resumed }));
