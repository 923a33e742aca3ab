import { clock, since } from './format.js';

// The truth bar: may I believe what I see? Colour, mark and words together,
// and read out only when the words change.

const words = {
  live: ['●', 'live'],
  connecting: ['◌', 'connecting'],
  'catching up': ['◔', 'catching up'],
  reconnecting: ['◌', 'reconnecting'],
  stale: ['▲', 'stale'],
  paused: ['❚❚', 'paused'],
  replay: ['↺', 'replay'],
  'signed out': ['✕', 'signed out'],
  offline: ['✕', 'offline'],
  closed: ['◌', 'asleep'],
};

// judge puts the streams of a page together: the worst of them counts.
export function judge(streams, now, online = true) {
  const order = ['signed out', 'offline', 'closed', 'reconnecting', 'connecting', 'catching up', 'stale', 'live'];
  let state = !online ? 'offline' : streams.length ? 'live' : 'connecting', age = 0;
  const sum = { watermark: null, lag: 0, records: 0, late: 0, dropped: 0, rest: 0, holding: '', idle: true, ended: true, stalled: [], known: false, retryAt: 0, watching: 0, polling: false };
  let lowest = Infinity;
  for (const { client, store } of streams) {
    let s = client.state;
    const a = store.age(now);
    if (s === 'live' && a != null && a > 5000) s = 'stale';
    if (a != null) age = Math.max(age, a);
    if (order.indexOf(s) < order.indexOf(state)) state = s;
    sum.retryAt = Math.max(sum.retryAt, client.retryAt ?? 0);
    sum.watching = Math.max(sum.watching, store.presence?.count ?? 0);
    sum.polling ||= client.transport === 'poll';
    const m = store.mark;
    if (!m) {
      sum.idle = sum.ended = false;
      if (store.watermark != null && store.watermark < lowest) lowest = sum.watermark = store.watermark; // a replay
      continue;
    }
    sum.known = true;
    sum.lag = Math.max(sum.lag, m.lag_ms);
    sum.records += m.lag_records;
    sum.late += m.late;
    sum.dropped += m.dropped;
    sum.rest += m.rest ?? 0;
    sum.stalled.push(...m.stalled);
    sum.idle &&= !!m.idle;
    sum.ended &&= !!m.ended;
    if (m.watermark != null && m.watermark < lowest) {
      lowest = sum.watermark = m.watermark;
      sum.holding = m.holding ?? '';
    }
  }
  return { state, age, ...sum };
}

export class TruthBar {
  constructor(el) {
    this.el = el;
    this.pill = part('span', 'pill');
    this.pill.setAttribute('role', 'status');
    this.mark = part('i', '');
    this.mark.setAttribute('aria-hidden', 'true');
    this.word = part('span', '');
    this.count = part('span', 'count'); // not read out: it changes all the time
    this.count.setAttribute('aria-hidden', 'true');
    this.pill.append(this.mark, this.word, this.count);
    this.facts = part('dl', 'facts');
    el.append(this.pill, this.facts);
    this.values = {};
    for (const [name, title] of [
      ['complete to', 'Every window up to this time is closed: its number will change only by late rows'],
      ['lag', 'How far the pipeline is behind its input'],
      ['late', 'Rows that came after their window had closed'],
      ['dropped', 'Rows left out by an error policy'],
      ['not shown', 'Rows beyond the view\'s max_keys'],
      ['held back by', 'The input partition that holds the watermark back'],
      ['watching', 'Who looks at this dashboard now'],
    ]) {
      const box = part('div', name === 'watching' ? 'after' : '');
      box.title = title;
      const dt = part('dt', ''), dd = part('dd', '');
      dt.textContent = name;
      box.append(dt, dd);
      this.facts.append(box);
      this.values[name] = { box, dd };
    }
  }

  // show takes judge's answer, what a paused page holds back, and, of a page
  // that shows the past, {at, speed, exact, playing}.
  show(t, { paused, held, past, now }) {
    const state = past ? 'replay' : paused && t.state === 'live' ? 'paused' : t.state;
    if (this.state !== state) {
      this.state = state;
      this.pill.className = 'pill ' + state.replace(' ', '-');
      [this.mark.textContent, this.word.textContent] = words[state];
    }
    const news = t.age ? 'numbers ' + since(t.age) + ' old' : '';
    const left = Math.ceil((t.retryAt - now) / 1000);
    text(this.count, {
      stale: since(t.age),
      paused: held ? `+${held.toLocaleString()} ${held === 1 ? 'update' : 'updates'}` : '',
      replay: past ? clock(past.at) + (past.playing ? ` ×${past.speed}` : '') : '',
      reconnecting: [left > 0 ? left + ' s' : '', news].filter(Boolean).join(' · '),
      offline: news, 'signed out': news,
    }[state] ?? '');
    this.pill.title = t.polling ? 'Something between here and the server holds streams back: this page asks again and again instead' : '';
    this.set('complete to', t.ended ? 'the end' : t.watermark == null ? '–' : clock(t.watermark), true);
    this.set('lag', !t.known ? '–' : t.ended || (t.idle && !t.records) ? 'none' : since(t.lag) + (t.records ? ` · ${t.records.toLocaleString()} ${t.records === 1 ? 'row' : 'rows'}` : ''), !past, t.lag > 60000 && !t.idle);
    this.set('late', t.late.toLocaleString(), !past || t.known, false);
    this.set('dropped', t.dropped.toLocaleString(), !past || t.known, t.dropped > 0);
    this.set('not shown', t.rest.toLocaleString() + ' rows', t.rest > 0, true);
    this.set('held back by', t.stalled.length ? 'task ' + t.stalled.join(', ') + ', not heard' : t.holding, !past && (t.stalled.length > 0 || (t.holding !== '' && !t.idle && !t.ended)), t.stalled.length > 0);
    this.set('watching', String(t.watching), t.watching > 1);
  }

  set(name, value, shown, warn = false) {
    const { box, dd } = this.values[name];
    box.hidden = !shown;
    text(dd, value);
    box.classList.toggle('warn', warn);
  }
}

function part(tag, name) {
  const el = document.createElement(tag);
  if (name) el.className = name;
  return el;
}

function text(el, value) { if (el.textContent !== value) el.textContent = value; }
