// Who is signed in, where this server asks that. A stream ends when its
// session does; then this finds out and offers to sign in again.

import { element, toast } from './menu.js';

export class Session {
  // changed() is called when somebody came or went.
  constructor(changed) {
    this.changed = changed;
    this.known = false;  // this server has sessions
    this.name = '';
    this.out = false;    // there was a session, and it is over
    this.asked = -Infinity;
  }

  // check asks who we are, at most every few seconds.
  async check(now = Date.now()) {
    if (now - this.asked < 4000) return;
    this.asked = now;
    const answer = await fetch('/auth/me', { cache: 'no-store' }).catch(() => null);
    if (!answer) return;
    if (answer.status === 200) {
      const me = await answer.json().catch(() => ({}));
      const back = this.out;
      this.known = true;
      this.out = false;
      this.name = me.name ?? '';
      this.warn(me.expires, Date.parse(answer.headers.get('date') ?? '') || now);
      if (back) toast('Signed in again');
      this.changed(back);
    } else if (answer.status === 401) {
      // Where nobody signs in everybody is nobody, and there is nothing to offer.
      this.known ||= !!(await fetch(this.login, { method: 'HEAD' }).catch(() => null))?.ok;
      if (!this.known) return;
      this.out ||= this.name !== '';
      this.name = '';
      this.changed(false);
    }
  }

  // warn looks again when the session should be over.
  warn(expires, serverNow) {
    clearTimeout(this.timer);
    const at = typeof expires === 'number' ? (expires < 1e11 ? expires * 1000 : expires) : Date.parse(expires ?? '');
    if (!Number.isFinite(at)) return;
    const left = at - serverNow;
    if (left < 2 ** 31) this.timer = setTimeout(() => { this.asked = -Infinity; this.check(); }, Math.max(5000, left + 1000));
  }

  get login() { return '/auth/login?next=' + encodeURIComponent(location.pathname + location.search); }

  link(text = 'Sign in') { return element('a', { href: this.login, class: 'button', text }); }

  items() {
    if (!this.known) return [];
    if (!this.name) return [{ text: 'Sign in', href: this.login }];
    return [{ text: `Sign out ${this.name}`, do: () => this.leave() }];
  }

  async leave() {
    await fetch('/auth/session', { method: 'DELETE' }).catch(() => {});
    this.name = '';
    location.reload();
  }
}
