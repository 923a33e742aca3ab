// The service worker for web push. It shows what it is sent and opens the
// dashboard; it keeps no files and stands in front of no requests.

self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', (e) => e.waitUntil(self.clients.claim()));

// A message is JSON: {title, body, tag, url, pipeline, status, priority}. One
// with a known tag replaces the older; anything else is shown as text.
self.addEventListener('push', (e) => {
  let m = {};
  try { m = e.data?.json() ?? {}; } catch { m = { body: e.data?.text() }; }
  if (typeof m !== 'object' || m === null) m = { body: String(m) };
  const over = m.status === 'resolved';
  e.waitUntil(self.registration.showNotification(String(m.title ?? m.pipeline ?? 'leat'), {
    body: String(m.body ?? ''),
    icon: '/assets/icon.svg',
    tag: m.tag ?? m.id,
    renotify: !!(m.tag ?? m.id) && !over,
    silent: over || m.priority === 'low',
    requireInteraction: m.priority === 'urgent' && !over,
    timestamp: Number.isFinite(m.at) ? m.at : Date.now(),
    data: { url: address(m) },
  }));
});

// address is a page of ours only: a message is no reason to go elsewhere.
function address(m) {
  const fallback = m.pipeline ? '/d/' + encodeURIComponent(m.pipeline) : '/';
  try {
    const url = new URL(m.url ?? fallback, self.location.origin);
    return url.origin === self.location.origin ? url.pathname + url.search : fallback;
  } catch { return fallback; }
}

self.addEventListener('notificationclick', (e) => {
  e.notification.close();
  const url = e.notification.data?.url ?? '/';
  e.waitUntil(self.clients.matchAll({ type: 'window', includeUncontrolled: true }).then((all) => {
    const there = all.find((c) => new URL(c.url).pathname === new URL(url, self.location.origin).pathname);
    return there ? there.focus() : self.clients.openWindow(url);
  }));
});
