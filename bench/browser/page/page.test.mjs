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
  await until('there are rows', async () => Object.keys(await totals(page)).length === 5);
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
    await until('there are rows', async () => Object.keys(await totals(page)).length === 5);
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
  await until('there are rows', async () => Object.keys(await totals(page)).length === 5);
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
