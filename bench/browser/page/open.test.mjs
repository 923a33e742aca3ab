// A dashboard left open while every worker is replaced one by one, the network
// drops twice and Kafka is restarted: it says so meanwhile, and soon after each
// recovery it shows the truth. A log in the page itself keeps every state and
// every number that it showed.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { browser, control, env, live, open, shot, state, totals, until } from './drive.mjs';
import { same } from './truth.mjs';

const soon = 2000; // ms that the page may be behind its node

let b, page;
before(async () => {
  b = await browser();
  page = await open(b);
  await live(page);
  await until('there are rows', async () => Object.keys(await totals(page)).length === 5);
  await page.evaluate(watch);
});
after(() => b?.close());

// watch keeps what the page shows, frame by frame, where it changes.
function watch() {
  const log = globalThis.shown = { states: [], numbers: [] };
  const last = {};
  const look = () => {
    const says = document.querySelector('.truth [role=status]').textContent;
    const word = ['reconnecting', 'catching up', 'connecting', 'offline', 'stale', 'live'].find((w) => says.includes(w)) ?? says;
    if (log.states.at(-1)?.word !== word) log.states.push({ at: Date.now(), word });
    for (const tr of document.querySelectorAll('section[aria-label="Ever"] tbody tr:not([aria-hidden])')) {
      const [shop, orders] = [...tr.children].map((c) => c.textContent);
      if (last[shop] !== orders) log.numbers.push({ at: Date.now(), shop, orders: Number(orders.replaceAll(/\D/g, '')) });
      last[shop] = orders;
    }
    requestAnimationFrame(look);
  };
  look();
}

// recovered waits until the page shows all that was sent, and gives the time
// from the moment when the node behind it could have told so. What the pipeline
// itself took to recover is told, too.
async function recovered(t) {
  const since = Date.now();
  const sent = await control('/feed?on=false');
  const node = until('the node has the truth', async () => same(await asked(), sent), { within: 60000 }).then(() => Date.now());
  await until('the page is live and shows the truth', async () => /live/.test(await state(page)) ? same(await totals(page), sent) : await state(page), { within: 60000 });
  const shown = Date.now();
  await control('/feed?on=true');
  t.diagnostic(`${shown - since} ms from recovery to the truth on the page, ${await node - since} ms on the node`);
  return shown - await node;
}

// asked is what the node answers now, orders by shop.
async function asked() {
  const { rows } = await (await fetch(env.page + '/v1/views/shop/totals')).json();
  return Object.fromEntries(rows.map((r) => [r.shop, Number(r.orders)]));
}

const says = (pattern) => until('it says so: ' + pattern, async () => pattern.test(await state(page)) || await state(page), { within: 60000 });

const steps = [
  ['a second worker takes over from the first', async () => {
    await control('/worker?do=start&name=two');
    await control('/link?to=two'); // as a load balancer does
    await control('/worker?do=stop&name=one');
  }],
  ['a third from the second', async () => {
    await control('/worker?do=start&name=one');
    await control('/link?to=one');
    await control('/worker?do=stop&name=two');
  }],
  ['the network drops', async () => {
    await control('/link?up=false');
    await says(/reconnecting|offline/);
    await shot(page, 'left-open-cut');
    await control('/link?up=true');
  }],
  ['and once more', async () => {
    await control('/link?up=false');
    await says(/reconnecting|offline/);
    await control('/link?up=true');
  }],
  ['Kafka is restarted', async () => {
    await control('/broker?do=stop');
    await says(/stale/);
    await shot(page, 'left-open-stale');
    await control('/broker?do=start');
    await control('/ready?name=one');
  }],
];

for (const [what, happens] of steps) {
  test(what, async (t) => {
    await happens();
    const took = await recovered(t);
    assert.ok(took <= soon, `the page showed the truth ${took} ms after the node, more than ${soon}`);
  });
}

test('its own log: numbers only grew, and it was never live while cut off', async () => {
  const { states, numbers } = await page.evaluate(() => globalThis.shown);
  const last = {};
  for (const { shop, orders } of numbers) {
    assert.ok(orders > (last[shop] ?? 0), `${shop} went from ${last[shop]} to ${orders}`);
    last[shop] = orders;
  }
  const words = states.map((s) => s.word);
  assert.ok(words.filter((w) => w === 'reconnecting' || w === 'offline').length >= 2, words.join(', '));
  assert.ok(words.includes('stale'), words.join(', '));
  assert.equal(words.at(-1), 'live');
  assert.deepEqual(page.wrong, []);
});
