// What all browser tests need: Chromium, the world's control, a page that is
// opened and watched for errors, and conditions that are waited for.

import { chromium } from 'playwright-core';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { same } from './truth.mjs';

export const env = { page: process.env.PAGE, buffered: process.env.BUFFERED, control: process.env.CONTROL, shots: process.env.SHOTS };
mkdirSync(env.shots, { recursive: true });

// control changes the world; see control in ../world_test.go.
export async function control(path) {
  const r = await fetch(env.control + path, { method: 'POST' });
  const text = await r.text();
  if (!r.ok) throw new Error(`${path}: ${text}`);
  return JSON.parse(text);
}

export async function browser() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
}

// open shows the dashboard in a context of its own and collects what goes
// wrong in its console.
// options are the context's; context: one that is there already, prepare(page):
// what is done before the page is loaded.
export async function open(b, { url = env.page + '/d/shop', context, prepare, ...options } = {}) {
  context ??= await b.newContext({ viewport: { width: 1280, height: 900 }, timezoneId: 'UTC', locale: 'en-US', ...options });
  const page = await context.newPage();
  await prepare?.(page);
  page.wrong = [];
  page.on('pageerror', (e) => page.wrong.push(String(e)));
  page.on('console', (m) => { if (m.type() === 'error' && !/Failed to load resource|ERR_/.test(m.text())) page.wrong.push(m.text()); });
  await page.goto(url);
  return page;
}

export const shot = (page, name) => page.screenshot({ path: join(env.shots, name + '.png') });

// until asks again until the answer is what is wanted.
export async function until(what, ask, { within = 30000 } = {}) {
  const limit = Date.now() + within;
  let last;
  for (;;) {
    try {
      last = await ask();
      if (last === true) return;
    } catch (e) {
      last = e;
    }
    if (Date.now() > limit) throw new Error(`waited in vain until ${what}; the last answer was ${last instanceof Error ? last : JSON.stringify(last)}`);
    await new Promise((r) => setTimeout(r, 100));
  }
}

// state is the first words of the truth bar.
export const state = (page) => page.locator('.truth [role=status]').innerText();

export const live = (page) => until('the page is live', async () => /live/.test(await state(page)) || await state(page), { within: 60000 });

// rows reads a panel's table: an object per row by column title, in
// small letters.
export async function rows(page, title) {
  return page.locator(`section[aria-label="${title}"]`).evaluate((el) => {
    const cells = (row, sel) => [...row.querySelectorAll(sel)].map((c) => c.textContent.trim());
    const heads = cells(el, 'thead th').map((h) => h.replace(/[▲▼↑↓\s]+$/, '').toLowerCase());
    return [...el.querySelectorAll('tbody tr')].map((tr) => cells(tr, 'th, td')).filter((r) => r.length === heads.length)
      .map((r) => Object.fromEntries(r.map((c, i) => [heads[i], c])));
  });
}

// totals is what the table "Ever" shows: orders by shop.
export async function totals(page) {
  const got = {};
  for (const r of await rows(page, 'Ever')) got[r.shop] = Number(r.orders.replaceAll(/[^0-9]/g, ''));
  return got;
}

// truth waits until the page shows all that was sent, no order more or less,
// and answers it. The feed stands still meanwhile.
export async function truth(page) {
  const sent = await control('/feed?on=false');
  await until('the page shows what was sent', async () => same(await totals(page), sent));
  await control('/feed?on=true');
  return sent;
}
