// A pipeline's topology, drawn: topics and the nodes between them, from left
// to right. modelOf and place are pure, tested in node; draw makes the SVG.

// modelOf gives {nodes: [{id, label, kind, group}], edges: [{from, to}],
// groups: [{id, label}]} of what GET /v1/ops has: a graph, or the text of a
// Mermaid flowchart where there is none.
export function modelOf(graph, text = '') {
  if (graph?.nodes?.length) {
    const nodes = graph.nodes.map((n) => ({ id: String(n.id ?? n.name), label: String(n.label ?? n.name ?? n.id), kind: String(n.kind ?? ''), group: n.group ?? n.sub ?? null, note: n.note ?? '' }));
    const edges = (graph.edges ?? []).map((e) => Array.isArray(e) ? { from: String(e[0]), to: String(e[1]) } : { from: String(e.from), to: String(e.to) });
    const ids = new Set(nodes.map((n) => n.id));
    const labels = new Map((graph.groups ?? []).map((g) => [String(g.id), g.label]));
    const groups = [...new Set(nodes.map((n) => n.group).filter((g) => g != null))].map((id) => ({ id, label: labels.get(String(id)) ?? 'sub-topology ' + id }));
    return { nodes, edges: edges.filter((e) => ids.has(e.from) && ids.has(e.to)), groups };
  }
  const nodes = new Map(), edges = [], groups = [];
  let group = null;
  for (const line of text.split('\n').map((l) => l.trim())) {
    let m;
    if ((m = /^subgraph\s+(\w+)(?:\["(.*)"\])?/.exec(line))) groups.push(group = { id: m[1], label: m[2] ?? m[1] });
    else if (line === 'end') group = null;
    else if ((m = /^(\w+)\s*(\[\(|\[|\(\[|\()"(.*)"/.exec(line))) {
      nodes.set(m[1], { id: m[1], label: plain(m[3]), kind: m[2] === '[(' ? 'topic' : '', group: group?.id ?? null, note: '' });
    } else if ((m = /^(\w+)\s*-[-.]+>(?:\|.*\|)?\s*(\w+)/.exec(line))) edges.push({ from: m[1], to: m[2] });
  }
  return { nodes: [...nodes.values()], edges: edges.filter((e) => nodes.has(e.from) && nodes.has(e.to)), groups };
}

const plain = (label) => label.replaceAll('#quot;', '"').replaceAll('#35;', '#').replaceAll(/<br\s*\/?>/g, ' ');

// place gives each node a layer (its longest way from a beginning) and a row
// in it, near what it is joined to, so that few lines cross.
export function place({ nodes, edges }) {
  const ins = new Map(nodes.map((n) => [n.id, []])), outs = new Map(nodes.map((n) => [n.id, []]));
  for (const e of edges) {
    ins.get(e.to).push(e.from);
    outs.get(e.from).push(e.to);
  }
  const layer = new Map(), busy = new Set();
  const depth = (id) => {
    if (layer.has(id)) return layer.get(id);
    if (busy.has(id)) return 0; // a ring: cut here
    busy.add(id);
    const d = Math.max(-1, ...ins.get(id).map(depth)) + 1;
    busy.delete(id);
    layer.set(id, d);
    return d;
  };
  for (const n of nodes) depth(n.id);
  const layers = [];
  for (const n of nodes) (layers[layer.get(n.id)] ??= []).push(n.id);
  for (let i = 0; i < layers.length; i++) layers[i] ??= []; // a ring leaves holes
  const row = new Map();
  for (const l of layers) l.forEach((id, i) => row.set(id, i));
  // Medians, there and back.
  for (let round = 0; round < 5; round++) {
    const near = round % 2 ? outs : ins;
    for (const l of round % 2 ? layers.toReversed() : layers) {
      const at = (id) => {
        const rows = near.get(id).map((x) => row.get(x)).sort((a, b) => a - b);
        return rows.length ? rows[rows.length >> 1] : row.get(id);
      };
      const want = new Map(l.map((id) => [id, at(id)]));
      l.sort((a, b) => want.get(a) - want.get(b) || row.get(a) - row.get(b));
      l.forEach((id, i) => row.set(id, i)); // the next layer goes by it
    }
  }
  return { layers, row, layer };
}

const box = { w: 168, h: 34, gapX: 40, gapY: 14, pad: 12 };
const svg = (tag, attributes = {}, ...children) => {
  const el = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [k, v] of Object.entries(attributes)) if (v != null) el.setAttribute(k, v);
  el.append(...children);
  return el;
};

const titled = (text) => {
  const el = svg('title');
  el.textContent = text;
  return el;
};

// draw gives the picture, and in its title and description what it says.
export function draw(model, name) {
  const { layers, row, layer } = place(model);
  const rows = Math.max(1, ...layers.map((l) => l.length));
  const width = layers.length * (box.w + box.gapX) - box.gapX + 2 * box.pad, height = rows * (box.h + box.gapY) - box.gapY + 2 * box.pad;
  const at = (id) => {
    const l = layers[layer.get(id)];
    const free = (rows - l.length) * (box.h + box.gapY) / 2;
    return { x: box.pad + layer.get(id) * (box.w + box.gapX), y: box.pad + free + row.get(id) * (box.h + box.gapY) };
  };
  const root = svg('svg', { class: 'graph', viewBox: `0 0 ${width} ${height}`, width, height, role: 'img', 'aria-label': `Topology of ${name}: ${model.nodes.length} nodes. The list below says how they are joined.` });
  root.style.minWidth = Math.round(width * 0.8) + 'px'; // smaller would not be read
  for (const e of model.edges) {
    const a = at(e.from), b = at(e.to);
    const x0 = a.x + box.w, y0 = a.y + box.h / 2, x1 = b.x - 5, y1 = b.y + box.h / 2, mid = Math.max(24, (x1 - x0) / 2);
    root.append(svg('path', { class: 'edge', d: `M${x0} ${y0} C${x0 + mid} ${y0} ${x1 - mid} ${y1} ${x1} ${y1}` }),
      svg('path', { class: 'head', d: `M${x1 - 4} ${y1 - 4} L${x1 + 4} ${y1} L${x1 - 4} ${y1 + 4}` }));
  }
  const numbers = new Map(model.groups.map((g, i) => [g.id, i]));
  for (const n of model.nodes) {
    const { x, y } = at(n.id);
    const kind = /topic|source|sink|view|repartition|changelog|dead/.test(n.kind) ? 'topic' : 'node';
    const g = svg('g', { class: kind + (n.group != null ? ' g' + numbers.get(n.group) % 6 : '') }, titled(n.label + (n.kind ? ` (${n.kind})` : '') + (n.note ? ': ' + n.note : '')),
      svg('rect', { x, y, width: box.w, height: box.h, rx: kind === 'topic' ? box.h / 2 : 7 }));
    const text = svg('text', { x: x + box.w / 2, y: y + box.h / 2 + 4 });
    text.textContent = n.label.length > 24 ? n.label.slice(0, 11) + '…' + n.label.slice(-12) : n.label;
    g.append(text);
    root.append(g);
  }
  return root;
}

// told lists what leads where, for those who do not see the picture.
export function told(model) {
  const label = new Map(model.nodes.map((n) => [n.id, n.label]));
  return model.nodes.map((n) => {
    const to = model.edges.filter((e) => e.from === n.id).map((e) => label.get(e.to));
    return to.length ? `${n.label} → ${to.join(', ')}` : null;
  }).filter(Boolean);
}
