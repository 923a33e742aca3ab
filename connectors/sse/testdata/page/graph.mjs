import assert from 'node:assert/strict';
import { test } from 'node:test';
import { boxed, modelOf, place, told } from '../web/graph.js';

const mermaid = `flowchart LR
  t_orders[("orders")]
  t_out[("out")]
  subgraph sub0["sub-topology 0"]
    s0_in0["read orders"]
    s0_n0["aggregate totals"]
  end
  t_orders --> s0_in0
  s0_in0 --> s0_n0
  s0_n0 --> t_out
  s0_n0 --> nobody
`;

test('a topology is read from a graph, or from Mermaid text', () => {
  const m = modelOf(null, mermaid);
  assert.deepEqual(m.nodes.map((n) => [n.label, n.kind, n.group]), [['orders', 'topic', null], ['out', 'topic', null], ['read orders', '', 'sub0'], ['aggregate totals', '', 'sub0']]);
  assert.equal(m.edges.length, 3, 'no line to what is not there');
  const g = modelOf({ nodes: [{ id: 'a', label: 'orders', kind: 'topic' }, { name: 'b', sub: 1 }], edges: [{ from: 'a', to: 'b' }, ['b', 'x']] });
  assert.deepEqual([g.nodes.length, g.edges, g.groups], [2, [{ from: 'a', to: 'b' }], [{ id: 1, label: 'sub-topology 1' }]]);
  assert.deepEqual(modelOf(undefined).nodes, []);
  assert.deepEqual(told(m), ['orders → read orders', 'read orders → aggregate totals', 'aggregate totals → out']);
});

test('nodes stand behind what they read, also in a ring', () => {
  const { layer } = place(modelOf(null, mermaid));
  assert.deepEqual([...layer].map(([id, l]) => id + l).sort(), ['s0_in01', 's0_n02', 't_orders0', 't_out3']);
  const crossed = place(modelOf({ nodes: ['a', 'b', 'x', 'y'].map((id) => ({ id })), edges: [['a', 'y'], ['b', 'x']] }));
  assert.deepEqual(crossed.layers, [['a', 'b'], ['y', 'x']], 'lines do not cross');
  const ring = place({ nodes: [{ id: 'a' }, { id: 'b' }], edges: [{ from: 'a', to: 'b' }, { from: 'b', to: 'a' }] });
  assert.equal(ring.layers.flat().length, 2);
});

test('steps that only follow each other share a box; topics and forks do not', () => {
  const step = (id, kind, group) => ({ id, kind, name: id, label: `${kind} ${id}`, group });
  const graph = {
    nodes: [{ id: 'in', kind: 'source topic', name: 'orders', label: 'orders' }, { id: 'view', kind: 'view topic', name: 'v', label: 'v' }, { id: 'out', kind: 'output', name: '-', label: '-' },
      step('r', 'read', 0), step('f', 'filter', 0), step('a', 'aggregate', 0), step('s', 'sink:sse', 0), step('m', 'map', 0), step('p', 'sink:stdout', 1)],
    edges: [['in', 'r'], ['r', 'f'], ['f', 'a'], ['a', 's'], ['s', 'view'], ['f', 'm'], ['m', 'p'], ['p', 'out']].map(([from, to]) => ({ from, to })),
  };
  const { nodes, edges } = boxed(modelOf(graph));
  assert.deepEqual(nodes.map((b) => [b.id, b.topic, b.lines.map((l) => l.name).join(' ')]), [
    ['in', true, 'orders'], ['view', true, 'v'], ['out', true, '-'], ['r', false, 'r f'], ['a', false, 'a s'], ['m', false, 'm'], ['p', false, 'p']]);
  assert.deepEqual(edges.map((e) => e.from + e.to), ['inr', 'ra', 'aview', 'rm', 'mp', 'pout'], 'another sub-topology is another box');
  const ring = boxed({ nodes: [step('a', 'map', 0), step('b', 'map', 0)], edges: [{ from: 'a', to: 'b' }, { from: 'b', to: 'a' }] });
  assert.deepEqual([ring.nodes.length, ring.nodes[0].lines.length, ring.edges.length], [1, 2, 0]);
});
