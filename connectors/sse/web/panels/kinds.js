// The panels a dashboard can have. A panel is made with its description, its
// card and the page, and drawn with a store whenever the rows have changed. It
// may have scroll() (time goes on), cursor(t) (an instant is pointed at on
// another panel), shownAt (the instant that it shows) and picture().

import { Events } from './events.js';
import { Heatmap } from './heatmap.js';
import { Lag } from './lag.js';
import { Quantiles } from './quantiles.js';
import { Stat } from './stat.js';
import { Table } from './table.js';
import { Timeseries } from './timeseries.js';
import { TopK } from './topk.js';

export const kinds = {
  events: Events,
  heatmap: Heatmap,
  lag: Lag,
  quantiles: Quantiles,
  stat: Stat,
  table: Table,
  timeseries: Timeseries,
  topk: TopK,
};
