// The page as an analyst meets it. The world behind it: ../world_test.go.

import { after, before, beforeEach, test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { same } from './truth.mjs';
import { browser, control, env, live, open, rows, shot, state, totals, until } from './drive.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

let b;
before(async () => { b = await browser(); });
after(() => b?.close());
beforeEach(() => control('/whole'));

// card is a panel by its title.
const card = (page, title) => page.locator(`section[aria-label="${title}"]`);

// picture is what a panel's chart looks like.
const picture = async (page, title) => (await card(page, title).locator('canvas').first().screenshot()).toString('base64');

const sure = (page) => assert.deepEqual(page.wrong, []);

test('charts move by themselves', async () => {
  const page = await open(b);
  await live(page);
  await until('there is a chart', () => card(page, 'Revenue').locator('canvas').first().isVisible());
  const first = await picture(page, 'Revenue');
  await until('it has moved', async () => await picture(page, 'Revenue') !== first);
  const before = await totals(page);
  await until('numbers count on', async () => (await totals(page)).anna > before.anna);
  await shot(page, 'dashboard');
  sure(page);
  await page.context().close();
});

test('pause holds everything, and resume jumps to the present', async () => {
  const page = await open(b);
  await live(page);
  await until('there are rows', async () => Object.keys(await totals(page)).length >= 5);
  await page.locator('body').press('Space');
  assert.match(await state(page), /paused/);
  const held = await totals(page);
  await until('updates wait', async () => /\+[1-9]/.test(await page.locator('.truth').innerText()));
  assert.deepEqual(await totals(page), held);
  await shot(page, 'paused');
  await page.locator('body').press('Space');
  await until('it goes on', async () => (await totals(page)).anna > held.anna);
  await live(page);
  sure(page);
  await page.context().close();
});

test('a server that is killed: no gap, no row twice', async () => {
  const page = await open(b);
  await live(page);
  await control('/worker?do=kill&name=one');
  await until('the page says so', async () => /reconnecting|offline/.test(await state(page)) || await state(page));
  await shot(page, 'reconnecting');
  const old = await totals(page);
  assert.ok(old.anna > 0, 'the last data is kept');
  await control('/worker?do=start&name=one');
  await live(page);
  const sent = await control('/feed?on=false');
  await until('the page shows what was sent', async () => same(await totals(page), sent));
  await control('/feed?on=true');
  sure(page);
  await page.context().close();
});

test('a cut wire: it says so, keeps its rows and comes back', async () => {
  const page = await open(b);
  await live(page);
  await control('/link?up=false');
  await until('the page says so', async () => /reconnecting|offline/.test(await state(page)) || await state(page));
  await control('/link?up=true');
  await live(page);
  const sent = await control('/feed?on=false');
  await until('the page shows what was sent', async () => same(await totals(page), sent));
  await control('/feed?on=true');
  sure(page);
  await page.context().close();
});

test('behind a proxy that buffers it polls', async () => {
  const page = await open(b, { url: env.buffered + '/d/shop' });
  await until('rows come', async () => (await totals(page)).anna > 0, { within: 60000 });
  const before = await totals(page);
  await until('and go on', async () => (await totals(page)).anna > before.anna, { within: 60000 });
  sure(page);
  await page.context().close();
});

for (const colorScheme of ['light', 'dark']) {
  test(`accessible, ${colorScheme}`, async () => {
    const page = await open(b, { colorScheme });
    await live(page);
    await until('there are rows', async () => Object.keys(await totals(page)).length >= 5);
    await page.addScriptTag({ content: axe }).catch(() => page.evaluate(axe));
    const { violations } = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'best-practice'] }));
    assert.deepEqual(violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.map((n) => n.target).join(' ')}`), []);
    await shot(page, 'dashboard-' + colorScheme);
    await page.context().close();
  });
}

test('reduced motion: nothing moves between updates', async () => {
  const page = await open(b, { reducedMotion: 'reduce' });
  await live(page);
  await control('/feed?on=false');
  await until('there are rows', async () => Object.keys(await totals(page)).length >= 5);
  const running = await page.evaluate(() => document.getAnimations().filter((a) => a.playState === 'running' && a.effect.getComputedTiming().duration > 1).length);
  assert.equal(running, 0);
  await control('/feed?on=true');
  sure(page);
  await page.context().close();
});

test('every chart has a table, by keyboard', async () => {
  const page = await open(b);
  await live(page);
  await card(page, 'Busiest').getByRole('button', { name: /table/i }).first().press('Enter');
  await until('the table has the shops', async () => (await rows(page, 'Busiest')).some((r) => Object.values(r).includes('anna')));
  sure(page);
  await page.context().close();
});

test('a filter by key: fewer rows, kept in the address', async () => {
  const page = await open(b);
  await live(page);
  await until('there are rows', async () => Object.keys(await totals(page)).length >= 5);
  await page.getByRole('combobox', { name: /key/i }).fill('carl');
  await page.getByRole('option', { name: /carl/ }).first().click();
  await until('only carl is left', async () => Object.keys(await totals(page)).join() === 'carl');
  await shot(page, 'filtered');
  await page.reload();
  await until('still only carl', async () => Object.keys(await totals(page)).join() === 'carl');
  await page.getByRole('button', { name: /Remove the filter/ }).click();
  await until('all are back', async () => Object.keys(await totals(page)).length >= 5);
  sure(page);
  await page.context().close();
});

test('the scrubber: what was a while ago, and back to live', async () => {
  const page = await open(b);
  await live(page);
  await until('rows are old enough', async () => (await totals(page)).anna > 0);
  const at = Date.now(), then = await totals(page);
  await until('it has moved on', async () => (await totals(page)).anna > then.anna + 400);
  const slider = page.getByRole('slider', { name: 'Time shown' });
  await until('there is a timeline', () => slider.isVisible());
  await page.goto(env.page + '/d/shop?at=' + at);
  await until('it shows that time', async () => {
    const got = (await totals(page)).anna; // some are on their way, either way
    return got >= then.anna - 200 && got <= then.anna + 200 || `${got}, then ${then.anna}`;
  });
  assert.doesNotMatch(await state(page), /^.?\s*live/);
  await shot(page, 'replay');
  await page.getByRole('button', { name: 'Back to live' }).click();
  await until('the present is back', async () => (await totals(page)).anna > then.anna + 400);
  sure(page);
  await page.context().close();
});

test('export: the rows as CSV', async () => {
  const page = await open(b);
  await live(page);
  const sent = await control('/feed?on=false');
  await until('the page shows what was sent', async () => same(await totals(page), sent));
  await card(page, 'Ever').getByRole('button', { name: /Ever/ }).last().click();
  const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('menuitem', { name: 'Rows as CSV' }).click()]);
  const lines = readFileSync(await file.path(), 'utf8').trim().split(/\r?\n/);
  const names = lines[0].split(',');
  const got = Object.fromEntries(lines.slice(1).map((l) => l.split(',')).map((c) => [c[names.indexOf('shop')], Number(c[names.indexOf('orders')])]));
  assert.equal(same(got, sent), true);
  sure(page);
  await page.context().close();
});

// Trap 13.
test('two tabs share one stream; the second goes on when the first closes', async () => {
  const first = await open(b, { url: env.page + '/d/shop' });
  await live(first);
  const streams = [];
  const second = await first.context().newPage();
  second.on('request', (r) => { if (/\/live\//.test(r.url())) streams.push(r.url()); });
  await second.goto(env.page + '/d/shop');
  await live(second);
  assert.deepEqual(streams, []);
  const before = await totals(second);
  await first.close();
  await until('it goes on by itself', async () => (await totals(second)).anna > before.anna + 5);
  assert.ok(streams.length > 0);
  await second.context().close();
});

// Traps 3, 4 and 17.
test('hostile text is text, and numbers beyond 2^53 are exact', async () => {
  const page = await open(b);
  await live(page);
  const name = '<img src=x onerror="document.title=1">\r\nevent: mark\r\ndata: {}\0';
  const value = JSON.stringify({ shop: name, n: 0, amount: 1, at: Date.now() }).replace('"n":0', '"n":9007199254740993');
  await control('/send?' + new URLSearchParams({ key: name, value }));
  await until('the row is there', async () => (await rows(page, 'Ever')).some((r) => r.shop.includes('<img src=x') && r.newest === '9,007,199,254,740,993') || JSON.stringify(await rows(page, 'Ever')));
  assert.equal(await page.locator('img[src=x]').count(), 0);
  assert.doesNotMatch(await page.title(), /^1/);
  await live(page);
  sure(page);
  await page.context().close();
});

// Trap 18.
test('forced colours, dark, reduced motion: everything is still told', async () => {
  const page = await open(b, { forcedColors: 'active', colorScheme: 'dark', reducedMotion: 'reduce' });
  await live(page);
  await until('there are rows', async () => Object.keys(await totals(page)).length >= 5);
  for (const title of ['Revenue', 'Orders', 'Busiest', 'Ever']) assert.ok(await card(page, title).isVisible(), title);
  await shot(page, 'forced-colors');
  sure(page);
  await page.context().close();
});

test('a panel alone, for embedding', async () => {
  const page = await open(b, { url: env.page + '/d/shop?panel=p1&kiosk' });
  await until('there is a chart', () => card(page, 'Revenue').locator('canvas').first().isVisible());
  assert.equal(await card(page, 'Ever').count(), 0);
  assert.equal(await page.getByRole('button', { name: 'Pause' }).isVisible(), false);
  sure(page);
  await page.context().close();
});

test('narrow: nothing is cut off', async () => {
  const page = await open(b, { viewport: { width: 390, height: 800 } });
  await live(page);
  await until('there are rows', async () => Object.keys(await totals(page)).length >= 5);
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false);
  await shot(page, 'narrow');
  await page.context().close();
});
