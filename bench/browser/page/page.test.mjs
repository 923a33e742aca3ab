// The page as an analyst meets it. The world behind it: ../world_test.go.

import { after, before, beforeEach, test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { same } from './truth.mjs';
import { browser, control, env, live, open, rows, shot, state, totals, truth, until } from './drive.mjs';

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
  await truth(page);
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
  await truth(page);
  sure(page);
  await page.context().close();
});

// A stream never comes through; by the third one the page knows.
test('trap 14: behind a proxy that buffers the page finds out and polls', async () => {
  const asked = [];
  const page = await open(b, { url: env.buffered + '/d/shop?panel=p5', prepare: (p) => p.on('request', (r) => { if (/\/live\//.test(r.url())) asked.push(new URL(r.url()).pathname); }) });
  await until('rows come', async () => (await totals(page)).anna > 0, { within: 90000 });
  const before = await totals(page);
  await until('and go on', async () => (await totals(page)).anna > before.anna, { within: 60000 });
  assert.deepEqual(asked.slice(0, 4), ['/live/shop/totals', '/live/shop/totals', '/live/shop/totals', '/live/shop/totals/poll']);
  assert.match(await page.locator('.truth').innerText(), /polling/);
  await truth(page);
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

test('trap 18, reduced motion: nothing moves between updates', async () => {
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

test('trap 13: two tabs, one connection; the second goes on when the first closes', async () => {
  const first = await open(b);
  await live(first);
  const streams = [];
  const second = await open(b, { context: first.context(), prepare: (p) => p.on('request', (r) => { if (/\/live\//.test(r.url())) streams.push(r.url()); }) });
  await live(second);
  assert.deepEqual(streams, []);
  const before = await totals(second);
  await first.close();
  await until('it goes on by itself', async () => (await totals(second)).anna > before.anna + 5);
  assert.ok(streams.length > 0);
  assert.ok(streams.every((url) => url.includes('cursor=')), streams.join());
  await truth(second);
  sure(second);
  await second.context().close();
});

// A browser opens six connections to a server over HTTP/1.1, and a stream holds
// one for good: seven tabs, each with a stream of its own, would stand still.
test('trap 13: six tabs on HTTP/1.1, and the seventh works, too', async () => {
  const shops = ['anna', 'berta', 'carl', 'dora', 'emil'];
  const searches = [...shops.map((s) => '&key=shop:' + s), '&key=shop:anna&key=shop:emil', ''];
  const tabs = [];
  for (const search of searches) {
    const page = await open(b, { url: env.page + '/d/shop?panel=p5' + search, context: tabs[0]?.context() });
    await live(page);
    tabs.push(page);
  }
  assert.equal(await tabs[0].evaluate(() => performance.getEntriesByType('navigation')[0].nextHopProtocol), 'http/1.1');
  const own = (i) => Object.keys(wanted[i]).join();
  const wanted = [...shops.map((s) => ({ [s]: 1 })), { anna: 1, emil: 1 }, Object.fromEntries(shops.map((s) => [s, 1]))];
  const before = await Promise.all(tabs.map(totals));
  for (const [i, page] of tabs.entries()) {
    assert.equal(Object.keys(before[i]).sort().join(), own(i), searches[i]);
    const shop = Object.keys(wanted[i])[0];
    await until(`tab ${i + 1} goes on`, async () => (await totals(page))[shop] > before[i][shop]);
  }
  await until('the last one says why it is different', async () => /six connections/.test(await tabs[6].locator('#notice').innerText()));
  await truth(tabs[6]);
  for (const page of tabs) sure(page);
  await tabs[0].context().close();
});

// The clock is the page's own: an hour goes by in a moment.
test('hidden for an hour: no stream after a minute, and it resumes by its cursor without a gap', async () => {
  const page = await open(b, { url: env.page + '/d/shop?panel=p5', prepare: async (p) => {
    await p.addInitScript(() => {
      globalThis.sources = [];
      globalThis.hellos = [];
      globalThis.EventSource = class extends EventSource {
        constructor(url) {
          super(url);
          globalThis.sources.push(this);
          this.addEventListener('hello', (e) => globalThis.hellos.push(JSON.parse(e.data).resumed));
        }
      };
      Object.defineProperty(document, 'hidden', { get: () => !!globalThis.away });
      globalThis.turn = (away) => { globalThis.away = away; document.dispatchEvent(new Event('visibilitychange')); };
    });
    await p.clock.install();
  } });
  await live(page);
  await until('there are rows', async () => Object.keys(await totals(page)).length >= 5);
  const open_ = () => page.evaluate(() => globalThis.sources.filter((s) => s.readyState !== 2).length);

  await page.evaluate(() => globalThis.turn(true));
  for (let i = 0; i < 3; i++) { // by steps: a stream that is silent for 20 s is taken for dead
    await page.clock.fastForward(15000);
    const { anna } = await totals(page);
    await until('it still listens', async () => (await totals(page)).anna > anna);
  }
  assert.equal(await open_(), 1);
  await page.clock.fastForward(16000);
  assert.equal(await open_(), 0, 'a minute: it does not');
  assert.match(await state(page), /asleep/);
  const held = await totals(page);
  await page.clock.fastForward('59:00');
  assert.equal(await open_(), 0);
  await until('orders come meanwhile', async () => {
    const { rows } = await (await fetch(env.page + '/v1/views/shop/totals')).json();
    return rows.every((r) => Number(r.orders) > held[r.shop]);
  });
  assert.deepEqual(await totals(page), held, 'it stood still');

  await page.evaluate(() => globalThis.turn(false));
  await live(page);
  await truth(page);
  assert.deepEqual(await page.evaluate(() => globalThis.hellos), [false, true]);
  assert.match(await page.evaluate(() => globalThis.sources.at(-1).url), /cursor=v1\./);
  sure(page);
  await page.context().close();
});

test('trap 3, trap 4, trap 17: hostile text is text, and numbers beyond 2^53 are exact', async () => {
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

// told is what a page says to those who do not see it: roles, names and texts.
// Numbers are masked, and what comes and goes with the rows is left out: the
// facts of the truth bar, what there is to compare with, the feed's own rows.
async function told(page) {
  const text = await page.locator('body').ariaSnapshot();
  return text.replace(/\d[\d:.,]*/g, '0').split('\n').filter((l) => !/- (term|definition|option|listitem|time)\b|- text: n0 shop/.test(l)).join('\n');
}

// contrast is the ratio of the luminances of text and what is behind it, as
// WCAG has it; the browser itself turns colours into numbers.
function contrast(el) {
  const pixel = (color) => {
    const c = document.createElement('canvas').getContext('2d');
    c.fillStyle = color;
    c.fillRect(0, 0, 1, 1);
    return [...c.getImageData(0, 0, 1, 1).data];
  };
  const light = (rgb) => rgb.slice(0, 3).map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0.05);
  let behind = el;
  while (behind.parentElement && pixel(getComputedStyle(behind).backgroundColor)[3] < 128) behind = behind.parentElement;
  const text = light(pixel(getComputedStyle(el).color)), ground = light(pixel(getComputedStyle(behind).backgroundColor));
  return { ratio: Math.max(text, ground) / Math.min(text, ground), dark: ground < text };
}

// However a page is shown, it tells the same, and it can be read.
test('trap 18: dark, reduced motion, forced colours: the same is told', async () => {
  const ordinary = { colorScheme: 'light', reducedMotion: 'no-preference', forcedColors: 'none' };
  const modes = { dark: { colorScheme: 'dark' }, still: { reducedMotion: 'reduce' }, forced: { colorScheme: 'dark', reducedMotion: 'reduce', forcedColors: 'active' } };
  const page = await open(b, ordinary);
  await live(page);
  const sent = await control('/feed?on=false'); // the same numbers in all modes
  await until('the page shows what was sent', async () => same(await totals(page), sent));
  let before;
  await until('it stands still', async () => {
    const last = before;
    before = await told(page);
    return before === last;
  });
  for (const [mode, how] of Object.entries(modes)) {
    await page.emulateMedia({ ...ordinary, ...how });
    for (const title of ['Revenue', 'Orders', 'Busiest', 'Ever']) assert.ok(await card(page, title).isVisible(), `${mode}: ${title}`);
    for (const what of ['#title', '.truth [role=status]', 'section[aria-label="Ever"] tbody td']) {
      await until(`${mode}: ${what} can be read`, async () => {
        const { ratio, dark } = await page.locator(what).first().evaluate(contrast);
        return ratio >= 4.5 && (mode !== 'dark' || dark) || `a contrast of ${ratio.toFixed(1)}`;
      });
    }
    await until(mode + ': the same is told', async () => await told(page) === before);
    await shot(page, 'mode-' + mode);
  }
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
