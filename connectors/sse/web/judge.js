// What the truth bar says: how the streams of a page are, put together, and in
// a sentence why they are not as they should be. Pure, tested in node.

import { since } from './format.js';

export const staleAfter = 5000;   // ms without news of a task, as the server has it
const silentAfter = 4000;         // ms without a mark: they come each second
const skewed = 30000;             // ms that a clock may be wrong without a word
const noRoom = new Set(['capacity', 'viewer_cap', 'replays']);

const order = ['signed out', 'offline', 'closed', 'full', 'reconnecting', 'connecting', 'catching up', 'stale', 'live'];

// judge puts the streams of a page, [{client, store}], together: the worst of
// them counts.
export function judge(streams, now, online = true) {
  let state = !online ? 'offline' : streams.length ? 'live' : 'connecting', age = 0, lowest = Infinity;
  const sum = { watermark: null, lag: 0, records: 0, late: 0, dropped: 0, rest: 0, holding: '', idle: true, ended: true, stalled: [], known: false, retryAt: 0,
    watching: 0, polling: false, silent: 0, trouble: '', view: '', skew: 0 };
  for (const { client, store } of streams) {
    let s = client.state;
    if (s === 'reconnecting' && noRoom.has(client.reason)) s = 'full';
    const a = store.age(now);
    if (s === 'live' && a != null && a > staleAfter) s = 'stale';
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
    sum.silent = Math.max(sum.silent, now - store.markAt);
    if (m.trouble && !sum.trouble) [sum.trouble, sum.view] = [m.trouble, store.hello?.view ?? ''];
    if (Math.abs(store.skew) > Math.abs(sum.skew)) sum.skew = store.skew;
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
  if (Math.abs(sum.skew) <= skewed) sum.skew = 0;
  sum.stalled = [...new Set(sum.stalled)].sort((a, b) => a - b);
  return { state, age, ...sum };
}

// tasks names a few, and counts many.
const tasks = (list) => list.length === 1 ? 'task ' + list[0] : list.length > 4 ? list.length + ' tasks' : 'tasks ' + list.slice(0, -1).join(', ') + ' and ' + list.at(-1);

// because is a sentence for what is not as it should be, or ''. It has no
// numbers that change by the second: it is read out when it changes.
export function because(t) {
  const last = 'These are the last numbers known.';
  switch (t.state) {
    case 'offline': return `This device has no network. ${last} They go on by themselves when it is back.`;
    case 'full': return `The server has no room for another viewer just now and said when to come again. ${last}`;
    case 'reconnecting':
      if (t.age < silentAfter) return '';
      return t.known ? `The server cannot be reached. ${last} What was missed comes when it is back.` : 'The server cannot be reached; trying again.';
    case 'stale':
      if (t.silent > silentAfter) return `Nothing comes from the server, though the line looks open. ${last} The line is given up after 20 s and opened anew.`;
      if (t.trouble === 'no_topic') return `The topic of the view ${t.view} is not there. ${last} They go on when it is made again.`;
      if (t.trouble === 'no_read') return `The server cannot read the view ${t.view} from Kafka just now. ${last}`;
      return `The server answers, but ${t.stalled.length ? tasks(t.stalled) + ' of ' : ''}the pipeline ${t.stalled.length > 1 ? 'have' : 'has'} said nothing for a while: a worker or Kafka may be away. ${last}`;
  }
  return '';
}

// completeness says in words what the pipeline's marks say in numbers:
// [{name, value, text, warn}], for the bar and for who asks what it means.
export function completeness(t, { clock, past = false }) {
  const count = (n, one) => n.toLocaleString() + ' ' + (n === 1 ? one : one + 's');
  const facts = [{ name: 'complete to', value: t.known && t.ended ? 'the end' : t.watermark == null ? '–' : clock(t.watermark), shown: true,
    text: 'Every window up to this time is closed: its number is final, but for rows that come late. Later ones are still being counted: dashed lines, hollow dots.' }];
  facts.push({ name: 'behind', shown: !past, warn: t.lag > 60000 && !t.idle,
    value: !t.known ? '–' : t.ended || (t.idle && !t.records) ? 'nothing' : since(t.lag) + (t.records ? ` · ${count(t.records, 'row')}` : ''),
    text: 'How far the pipeline is behind what has been sent to it, in time and in rows that wait.' });
  facts.push({ name: 'late', shown: !past || t.known, value: t.known ? count(t.late, 'row') : '–', text: 'Came after their window was closed, and are in no number here.' });
  facts.push({ name: 'dropped', shown: !past || t.known, value: t.known ? count(t.dropped, 'row') : '–', text: 'Left out or set aside as dead letters: broken, out of range, or late where the pipeline keeps late rows. They are in no number here; what is kept is on the operators’ page.' });
  facts.push({ name: 'not shown', shown: t.rest > 0, warn: true, value: count(t.rest, 'row'), text: 'There are more keys than the view may hold (max_keys): these rows are left out.' });
  facts.push({ name: 'held back by', shown: !past && (t.stalled.length > 0 || (t.holding !== '' && !t.idle && !t.ended)), warn: t.stalled.length > 0,
    value: t.stalled.length ? tasks(t.stalled) + ', not heard' : t.holding, text: 'What everything waits for: “complete to” goes on when this does.' });
  facts.push({ name: 'your clock', shown: t.skew !== 0, warn: true, value: since(Math.abs(t.skew)) + (t.skew < 0 ? ' ahead' : ' behind'),
    text: 'This device’s clock and the server’s differ by so much. Times here are the server’s, and ages are reckoned by it.' });
  facts.push({ name: 'connection', shown: t.polling, value: 'polling', text: 'Something between here and the server holds streams back: the page asks again and again instead. Nothing is missing; it comes a little later.' });
  facts.push({ name: 'watching', shown: t.watching > 1, value: String(t.watching), text: 'Who looks at this dashboard now.' });
  return facts;
}
