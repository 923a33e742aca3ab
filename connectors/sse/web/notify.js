// Notifications of alerts, by web push: offered where the server has a key for
// it and the browser can. push.js shows them.

import { toast } from './menu.js';

export class Notify {
  constructor(pipeline) {
    this.pipeline = pipeline;
    this.key = null;
    this.on = false;
    this.sinks = [];
  }

  async look() {
    if (!globalThis.isSecureContext || !navigator.serviceWorker || !globalThis.PushManager) return;
    const answer = await fetch('/v1/push/key?pipeline=' + encodeURIComponent(this.pipeline)).catch(() => null);
    if (answer?.status !== 200) return;
    const body = await answer.json().catch(() => ({}));
    this.key = body.key ?? null;
    this.sinks = (body.sinks ?? []).filter((s) => typeof s === 'string' || s.pipeline === this.pipeline).map((s) => s.sink ?? s);
    const worker = await navigator.serviceWorker.getRegistration('/assets/');
    this.on = this.wanted && !!await worker?.pushManager.getSubscription();
  }

  // A browser has one subscription for all pipelines: which of them it is for
  // is kept beside it.
  get name() { return 'leat.push.' + this.pipeline; }
  get wanted() { try { return localStorage.getItem(this.name) !== null; } catch { return true; } }
  remember(on) {
    try {
      if (on) localStorage.setItem(this.name, '1');
      else localStorage.removeItem(this.name);
      return Object.keys(localStorage).some((k) => k.startsWith('leat.push.'));
    } catch { return on; }
  }

  items() {
    if (!this.key) return [];
    return [{ text: 'Notify me of alerts', checked: this.on, do: () => this.turn(!this.on) }];
  }

  async turn(on) {
    try {
      const worker = await navigator.serviceWorker.register('/assets/push.js', { scope: '/assets/' });
      if (on) {
        if (await Notification.requestPermission() !== 'granted') return toast('This browser does not allow notifications from here');
        await ready(worker);
        const subscription = await worker.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: bytes(this.key) });
        await this.send('POST', subscription);
        this.remember(true);
      } else {
        const subscription = await worker.pushManager.getSubscription();
        if (subscription) {
          await this.send('DELETE', subscription);
          if (!this.remember(false)) await subscription.unsubscribe();
        }
      }
      this.on = on;
      toast(on ? 'You will be notified of alerts' : 'No more notifications');
    } catch (e) {
      toast('Notifications: ' + e.message);
    }
  }

  async send(method, subscription) {
    for (const sink of this.sinks.length ? this.sinks : [undefined]) {
      const answer = await fetch('/v1/push/subscriptions', { method, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ pipeline: this.pipeline, sink, subscription: subscription.toJSON() }) });
      if (!answer.ok) throw new Error((await answer.json().catch(() => null))?.error ?? 'the server answered ' + answer.status);
    }
  }
}

// ready waits for the worker to be the active one: only that can subscribe.
function ready(registration) {
  if (registration.active) return null;
  const worker = registration.installing ?? registration.waiting;
  return new Promise((done) => worker.addEventListener('statechange', () => { if (worker.state === 'activated') done(); }));
}

// bytes reads base64url, as VAPID keys are written.
export function bytes(text) {
  const b = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
  return Uint8Array.from(b, (c) => c.charCodeAt(0));
}
