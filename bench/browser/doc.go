// Package browser looks at the live page as an analyst does: with a real
// Chromium, driven by playwright-core, while the world behind the page is
// restarted, cut off and put behind a proxy that buffers.
//
//	test (Go) ── starts ──▶ broker, workers, feeder ─▶ link ─▶ buffering proxy
//	   │                          ▲                     │            │
//	   │                          └── control (HTTP) ── page.test.mjs (node)
//	   └── runs node --test ──────────────────────────▶ │
//	                                                 Chromium
//
// The Go side is the world, and its control server the way to change it; the
// tests themselves are page.test.mjs, since a browser is driven from there.
// What the page shows is compared with what the feeder sent: each order of
// each shop once.
//
//	make test-browser                         all of them
//	make test-browser BROWSER="-run TestPage/pause -v"
//
// Node 20, npm and a Chromium must be there (CHROMIUM names one); npm fetches
// playwright-core, axe-core and the clients that the tests need, pinned by the
// lock file.
package browser
