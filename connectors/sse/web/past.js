// Time travel: a timeline under the bar, as far back as the server can show.
// Each view is read again into a store of its own; the live streams go on
// behind it, so that "back to live" is at once.

import { Client } from './client.js';
import { clock, since, stamp } from './format.js';
import { element, toast } from './menu.js';
import { timeLabel, timesOf } from './plot.js';
import { beginning, closedBy } from './shape.js';
import { Store } from './store.js';
import { speeds } from './url.js';

const least = 300000; // ms that a timeline covers at least
const patience = 3000; // ms that the timeline waits for all views to be here
const settle = 250; // ms that a dragged thumb must rest before rows are asked for

export class Past {
  constructor(el, page) {
    this.el = el;
    this.page = page;
    this.on = false;      // showing the past
    this.playing = false;
    this.at = null;       // epoch ms
    this.speed = page.state.speed;
    this.exact = true;
    this.span = 0;        // ms that the timeline covers
    this.views = new Map(); // view → {store, client}
    this.build();
  }

  build() {
    this.play = element('button', { type: 'button', class: 'round', on: { click: () => this.playing ? this.stop() : this.run() } });
    this.pace = element('select', { 'aria-label': 'Speed', on: { change: () => { this.speed = +this.pace.value; this.page.change({ speed: this.speed }); if (this.playing) this.run(); } } },
      ...speeds.map((s) => element('option', { value: String(s), text: '×' + s })));
    this.back10 = element('button', { type: 'button', text: '10 min ago', title: 'What was ten minutes ago', on: { click: () => this.seek((this.at ?? this.page.time()) - 600000) } });
    this.zone = element('i', { class: 'zone', 'aria-hidden': 'true' });
    this.thumb = element('i', { class: 'thumb', 'aria-hidden': 'true' });
    this.ticks = element('span', { class: 'ticks', 'aria-hidden': 'true' });
    this.track = element('div', { class: 'timeline', role: 'slider', tabindex: '0', 'aria-label': 'Time shown', 'aria-orientation': 'horizontal' }, element('i', { class: 'rail', 'aria-hidden': 'true' }), this.zone, this.ticks, this.thumb);
    this.label = element('output', {});
    this.live = element('button', { type: 'button', class: 'primary', text: 'Back to live', title: 'l', on: { click: () => this.leave() } });
    this.lead = element('span', { class: 'lead', text: 'Look back' });
    this.began = this.page.now();
    this.track.inert = true; // until it is known how far back one may look
    this.back10.disabled = this.play.hidden = this.pace.hidden = this.live.hidden = true;
    this.label.textContent = 'now';
    this.el.append(this.lead, this.back10, this.play, this.pace, this.track, this.label, this.live);
    this.track.addEventListener('pointerdown', (e) => {
      if (e.button) return;
      this.track.setPointerCapture(e.pointerId);
      this.dragging = true;
      this.drag(e);
    });
    this.track.addEventListener('pointermove', (e) => {
      if (this.dragging) this.drag(e);
      else this.track.title = stamp(this.timeAt(e));
    });
    this.track.addEventListener('pointerup', (e) => {
      if (!this.dragging) return;
      this.dragging = false;
      this.drag(e);
    });
    this.track.addEventListener('keydown', (e) => {
      const step = { ArrowLeft: -10000, ArrowRight: 10000, ArrowDown: -10000, ArrowUp: 10000, PageUp: -60000, PageDown: 60000 }[e.key];
      const at = this.at ?? this.page.time();
      if (step) this.seek(at + step);
      else if (e.key === 'Home') this.seek(this.page.time() - this.span);
      else if (e.key === 'End' || e.key === 'Escape') this.leave();
      else return;
      e.preventDefault();
      e.stopPropagation();
    });
  }

  // offer shows the timeline where some view can be shown as it was.
  offer() {
    const streams = [...this.page.streams.values()];
    if (!streams.some((s) => s.store.ready) || !streams.every((s) => s.store.ready) && this.page.now() - this.began < patience) return;
    this.track.inert = this.back10.disabled = false;
    let exact = 0, span = 0;
    for (const { store } of streams) {
      const h = store.hello;
      if (!(h?.replay_ms > 0)) continue;
      exact = Math.max(exact, h.replay_ms);
      span = Math.max(span, h.replay_ms, h.windowed ? h.history_ms : 0);
    }
    this.reach = exact;
    // No longer than there is something to see: the first half hour of a
    // pipeline does not need a timeline of a day.
    const begins = beginning(streams.map((s) => s.store));
    this.span = begins == null ? span : Math.min(span, Math.max(least, (this.page.time() - begins) * 1.05));
    this.el.hidden = !span || this.page.state.kiosk && !this.on;
    if (span && this.page.state.at != null && !this.on) this.seek(this.page.state.at);
    if (span) this.show();
  }

  timeAt(e) {
    const box = this.track.getBoundingClientRect();
    const now = this.page.time();
    return now - this.span * (1 - Math.max(0, Math.min(1, (e.clientX - box.left) / box.width)));
  }

  drag(e) {
    const at = this.timeAt(e);
    if (at > this.page.time() - this.span * 0.005) return this.leave();
    this.seek(at);
  }

  // seek goes to an instant: its rows come when the thumb rests.
  seek(at) {
    const now = this.page.time();
    at = Math.max(now - this.span, at);
    if (at >= now - 1000) return this.leave();
    this.at = at;
    this.on = true;
    this.page.change({ at });
    this.show();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.playing ? this.run() : this.open(0), settle);
  }

  run() {
    if (!this.on) return;
    this.playing = true;
    this.open(this.speed);
    this.show();
    this.page.controls.show();
  }

  stop() {
    this.playing = false;
    for (const v of this.views.values()) v.client.close();
    this.page.change({ at: this.at });
    this.show();
  }

  // open reads the views from here on; at speed 0 as they were, and no more.
  open(speed) {
    const end = this.page.time();
    for (const [name, stream] of this.page.streams) {
      const old = this.views.get(name);
      old?.client.close();
      const view = { store: new Store(), shown: old?.store.ready ? old.store : old?.shown };
      view.store.apply('clock', { at: this.at, exact: true }, this.page.now());
      const path = () => `${stream.path}?from=${Math.round(view.store.clock.at)}` + (speed ? `&to=${Math.round(end)}&speed=${speed}` : '&speed=0');
      view.client = new Client(path, {
        resume: false, // it goes on from its own clock
        silence: 120000, // a long log is read before the first rows come
        onEvent: (kind, data) => {
          if (this.views.get(name) !== view) return;
          view.store.apply(kind, data, this.page.now());
          if (kind === 'hello') this.exact = data.exact !== false;
          if (kind === 'ready' && !speed) view.client.close();
          if (kind === 'clock') this.tell(data, speed);
          if (kind === 'done' && speed) this.ended();
          if (kind === 'drain' && !view.store.hello) { // refused
            toast('Too many look at the past just now. Try again in a minute.');
            return this.leave();
          }
          this.page.wake();
        },
        onState: (state) => { if (state === 'reconnecting' && this.views.get(name) === view) this.ask(view, path()); },
      });
      this.views.set(name, view);
      view.client.open();
    }
    this.page.repaint();
  }

  tell(data, speed) {
    if (!this.on || this.dragging) return;
    if (speed) this.at = data.at;
    this.exact = data.exact !== false;
    this.show();
  }

  // ended: the replay has reached what was the present when it began.
  ended() {
    if ([...this.views.values()].every((v) => v.store.done)) this.leave();
  }

  // ask finds out why a replay does not come: an EventSource does not say.
  async ask(view, path) {
    if (view.asked) return;
    view.asked = true;
    const stop = new AbortController();
    const answer = await fetch(path, { signal: stop.signal, cache: 'no-store' }).catch(() => null);
    if (!answer || !this.on) return stop.abort();
    if (answer.status === 200) {
      stop.abort();
      setTimeout(() => { view.asked = false; }, 3000);
      return;
    }
    const body = await answer.json().catch(() => null);
    toast(body?.error ?? `The past cannot be shown: the server answered ${answer.status}`);
    this.leave();
  }

  leave() {
    clearTimeout(this.timer);
    this.dragging = false;
    if (!this.on) return;
    this.on = this.playing = false;
    this.at = null;
    for (const v of this.views.values()) v.client.close();
    this.views.clear();
    this.page.change({ at: null });
    this.page.narrow();
    this.page.repaint();
    this.show();
  }

  // store is a view's rows as they were; while they come, those before.
  //
  // Before the first of them was written, the windows that had closed are
  // known all the same: of rows that came later than what they tell of.
  store(name) {
    const v = this.on ? this.views.get(name) : null;
    if (!v) return null;
    const live = this.page.streams.get(name).store;
    if (!v.store.ready) return v.shown ?? live; // faint: see .loading
    v.known = false;
    if (v.store.rows.size || !live.ready) return v.store;
    if (v.asOf?.version !== live.version || v.asOf.at !== this.at) v.asOf = { at: this.at, version: live.version, store: closedBy(live, this.at) };
    v.known = v.asOf.store.rows.size > 0;
    return v.known ? v.asOf.store : v.store;
  }

  // final: only final values are shown, as nothing tells how numbers came to be.
  get final() { return this.on && (!this.exact || [...this.views.values()].some((v) => v.known)); }

  get loading() { return this.on && [...this.views.values()].some((v) => !v.store.ready); }

  // show draws the timeline; called each second, too.
  show() {
    const now = this.page.time(), at = this.at ?? this.page.pausedAt ?? now;
    const share = (t) => Math.max(0, Math.min(1, 1 - (now - t) / this.span)) * 100 + '%';
    this.el.classList.toggle('on', this.on);
    this.lead.hidden = this.on;
    this.play.hidden = this.pace.hidden = this.live.hidden = !this.on;
    this.back10.hidden = this.on || this.span < 600000;
    this.play.textContent = this.playing ? '❚❚' : '▶';
    this.play.title = this.playing ? 'Stop here' : 'Play from here';
    this.play.setAttribute('aria-label', this.play.title);
    if (![...this.pace.options].some((o) => +o.value === this.speed)) this.pace.append(element('option', { value: String(this.speed), text: '×' + this.speed }));
    this.pace.value = String(this.speed);
    this.thumb.style.left = share(at);
    this.zone.style.left = share(now - this.reach);
    const text = this.on ? `${clock(at)} · ${since(now - at)} ago${this.loading ? ' …' : this.final ? ' · final values' : ''}` : at < now - 1000 ? since(now - at) + ' ago' : 'now';
    if (this.label.textContent !== text) this.label.textContent = text;
    this.label.title = this.on ? (this.final ? 'Of that time only the final numbers of closed windows are known' : 'Every number as it was shown at that time') : 'Drag the timeline to look back';
    this.track.setAttribute('aria-valuemin', String(Math.round((now - this.span) / 1000)));
    this.track.setAttribute('aria-valuemax', String(Math.round(now / 1000)));
    this.track.setAttribute('aria-valuenow', String(Math.round(at / 1000)));
    this.track.setAttribute('aria-valuetext', this.on ? `${clock(at)}, ${since(now - at)} ago` : text);
    this.tick(now);
  }

  tick(now) {
    const second = Math.floor(now / 1000);
    if (second === this.ticked) return;
    this.ticked = second;
    const { times, step } = timesOf(now - this.span, now, Math.max(2, this.track.clientWidth / 120));
    this.ticks.replaceChildren(...times.filter((t) => now - t > this.span * 0.04 && now - t < this.span * 0.97).map((t) => {
      const el = element('span', { text: timeLabel(t, step) });
      el.style.left = (1 - (now - t) / this.span) * 100 + '%';
      return el;
    }));
  }
}
