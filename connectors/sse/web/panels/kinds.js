// The panels a dashboard can have. A panel is made with its description, its
// card and the page, and drawn with a store whenever the rows have changed.

import { Lag } from './lag.js';
import { Stat } from './stat.js';
import { Table } from './table.js';
import { Timeseries } from './timeseries.js';
import { TopK } from './topk.js';

export const kinds = {
  lag: Lag,
  stat: Stat,
  table: Table,
  timeseries: Timeseries,
  topk: TopK,
};
