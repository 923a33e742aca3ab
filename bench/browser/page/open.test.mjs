// A dashboard left open while every worker is replaced one by one, the network
// drops twice and Kafka is restarted: it says so meanwhile, and soon after each
// recovery it shows the truth, nothing lost and nothing twice. A log in the page
// itself keeps every state and every number that it showed, and is the judge.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { availableParallelism, loadavg } from 'node:os';
import { browser, control, env, live, open, shot, state, totals, until } from './drive.mjs';
import { same } from './truth.mjs';

// soon is how long after a recovery the page may take, in ms; where even
// undisturbed numbers take long on this machine, so many times what those take.
// With more than busy processes that want each core the clock tells of the
// machine, not of us: times are told then, and only what was shown is judged.
const soon = 2000, times = 3, busy = 2;

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

const log = () => page.evaluate(() => globalThis.shown);

// settled stops the feeder and waits until the page, live, shows all that was
// sent. The answer is how long it took from the moment when all of it was in
// Kafka, by the page's own log; what the node behind it took is told beside it.
async function settled() {
  const sent = await control('/feed?on=false');
  const from = Date.now();
  const node = until('the node has the truth', async () => same(await asked(), sent), { within: 60000 }).then(() => Date.now());
  await until('the page is live and shows the truth', async () => /live/.test(await state(page)) ? same(await totals(page), sent) : await state(page), { within: 60000 });
  const { states, numbers } = await log();
  const shown = Math.max(states.at(-1).at, numbers.at(-1).at);
  const took = { page: Math.max(0, shown - from), node: Math.max(0, await node - from) };
  await control('/feed?on=true');
  return took;
}

// load is how many processes want each core.
const load = () => loadavg()[0] / availableParallelism();

// recovered judges a recovery: the page shows the truth, and soon after it.
async function recovered(t) {
  const took = await settled();
  const { anna } = await totals(page);
  await until('it goes on', async () => (await totals(page)).anna > anna);
  const calm = await settled(); // the control: the same with nothing happening
  t.diagnostic(`the truth on the page ${took.page} ms after the recovery, on the node ${took.node} ms; undisturbed ${calm.page} ms; ${load().toFixed(1)} processes want each core`);
  if (load() > busy) return;
  const limit = Math.max(soon, times * calm.page);
  assert.ok(took.page <= limit, `the page showed the truth ${took.page} ms after the recovery, more than ${limit}`);
}

// asked is what the node answers now, orders by shop.
async function asked() {
  const { rows } = await (await fetch(env.page + '/v1/views/shop/totals')).json();
  return Object.fromEntries(rows.map((r) => [r.shop, Number(r.orders)]));
}

// cut takes something away, waits until the page says so and for a while more,
// and brings it back. Meanwhile the page never says that it is live.
async function cut(away, says, back, ms = 0) {
  await control(away);
  await until('it says so: ' + says, async () => says.test(await state(page)) || await state(page), { within: 60000 });
  const from = (await log()).states.length;
  await shot(page, 'left-open-' + (await log()).states.at(-1).word.replace(' ', '-'));
  await new Promise((r) => setTimeout(r, ms));
  const live = (await log()).states.slice(from).filter((s) => s.word === 'live');
  assert.deepEqual(live, [], 'it said live while it was cut off');
  await control(back);
}

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
  ['the network drops', () => cut('/link?up=false', /reconnecting|offline/, '/link?up=true')],
  ['and once more, for longer', () => cut('/link?up=false', /reconnecting|offline/, '/link?up=true', 5000)],
  ['Kafka is restarted', () => cut('/broker?do=stop', /stale/, '/broker?do=start')],
];

for (const [what, happens] of steps) {
  test(what, async (t) => {
    await happens();
    await recovered(t);
  });
}

test('its own log: numbers only grew, and it said so when it was cut off', async () => {
  const { states, numbers } = await log();
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
