// A pipeline's topology, drawn: topics and the nodes between them, from left
// to right. modelOf and place are pure, tested in node; draw makes the SVG.

// modelOf gives {nodes: [{id, label, kind, group}], edges: [{from, to}],
// groups: [{id, label}]} of what GET /v1/ops has: a graph, or the text of a
// Mermaid flowchart where there is none.
export function modelOf(graph, text = '') {
  if (graph?.nodes?.length) {
    const nodes = graph.nodes.map((n) => ({ id: String(n.id ?? n.name), name: String(n.name ?? n.id), label: String(n.label ?? n.name ?? n.id), kind: String(n.kind ?? ''), group: n.group ?? n.sub ?? null, note: n.note ?? '' }));
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
      nodes.set(m[1], { id: m[1], name: plain(m[3]), label: plain(m[3]), kind: m[2] === '[(' ? 'topic' : '', group: group?.id ?? null, note: '' });
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

// isTopic: all else are the steps between topics.
export const isTopic = (n) => /(^|\s)topic$|^output$/.test(n.kind);

// boxed puts steps that do nothing but follow each other into one box, as a
// picture of every step is wider than any screen: {nodes: [{id, topic, group,
// lines: [{kind, name, label, note}]}], edges}.
export function boxed({ nodes, edges }) {
  const by = new Map(nodes.map((n) => [n.id, n]));
  const count = (end) => edges.reduce((m, e) => m.set(e[end], (m.get(e[end]) ?? 0) + 1), new Map());
  const ins = count('to'), outs = count('from'), next = new Map(), follows = new Set();
  for (const e of edges) {
    const a = by.get(e.from), b = by.get(e.to);
    if (a === b || isTopic(a) || isTopic(b) || a.group !== b.group || outs.get(a.id) !== 1 || ins.get(b.id) !== 1) continue;
    next.set(a.id, b.id);
    follows.add(b.id);
  }
  const boxOf = new Map(), boxes = [];
  const start = (n) => {
    const box = { id: n.id, topic: isTopic(n), group: n.group, lines: [] };
    for (let id = n.id; id !== undefined && !boxOf.has(id); id = next.get(id)) {
      const { kind, name, label, note } = by.get(id);
      box.lines.push({ kind, name, label, note });
      boxOf.set(id, box.id);
    }
    boxes.push(box);
  };
  for (const n of nodes) if (!follows.has(n.id)) start(n);
  for (const n of nodes) if (!boxOf.has(n.id)) start(n); // a ring
  const joined = new Map(edges.map((e) => ({ from: boxOf.get(e.from), to: boxOf.get(e.to) })).filter((e) => e.from !== e.to).map((e) => [e.from + '\0' + e.to, e]));
  return { nodes: boxes, edges: [...joined.values()] };
}

const size = { gapX: 44, gapY: 16, pad: 14, line: 18, letter: 6.7, least: 96, most: 236 };
const svg = (tag, attributes = {}, ...children) => {
  const el = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [k, v] of Object.entries(attributes)) if (v != null) el.setAttribute(k, v);
  el.append(...children);
  return el;
};

const written = (tag, attributes, text) => {
  const el = svg(tag, attributes);
  el.textContent = text;
  return el;
};

// textOf is a line as it is written, cut in the middle where it is too long.
const most = Math.floor((size.most - 28) / size.letter);
const cut = (text) => text.length > most ? text.slice(0, (most >> 1) - 1) + '…' + text.slice(-(most - (most >> 1))) : text;

// textsOf are the lines of a box: of a topic its name and what it is for, of
// steps what each does.
function textsOf(box) {
  return box.lines.flatMap((l) => box.topic ? [{ text: cut(l.label), main: true }, ...(l.kind && l.kind !== 'topic' ? [{ text: l.kind }] : [])] : [{ text: cut(l.label), kind: l.kind, main: true }]);
}

// draw gives the picture, and in its title and description what it says.
export function draw(model, name) {
  const boxes = boxed(model);
  const { layers, row, layer } = place(boxes);
  const texts = new Map(boxes.nodes.map((b) => [b.id, textsOf(b)]));
  const high = (id) => texts.get(id).length * size.line + 14;
  const widths = layers.map((l) => Math.min(size.most, Math.max(size.least, ...l.flatMap((id) => texts.get(id).map((t) => t.text.length * size.letter + 28)))));
  const lefts = widths.map((_, i) => size.pad + widths.slice(0, i).reduce((n, w) => n + w + size.gapX, 0));
  const heights = layers.map((l) => l.reduce((n, id) => n + high(id) + size.gapY, -size.gapY));
  const height = Math.max(...heights) + 2 * size.pad, width = lefts.at(-1) + widths.at(-1) + size.pad;
  const places = new Map();
  layers.forEach((l, i) => {
    let y = size.pad + (height - 2 * size.pad - heights[i]) / 2;
    for (const id of l.toSorted((a, b) => row.get(a) - row.get(b))) {
      places.set(id, { x: lefts[i], y, w: widths[layer.get(id)], h: high(id) });
      y += high(id) + size.gapY;
    }
  });
  const root = svg('svg', { class: 'graph', viewBox: `0 0 ${width} ${height}`, width, height, role: 'img', 'aria-label': `Topology of ${name}: ${model.nodes.length} nodes. The list below says how they are joined.` });
  root.style.minWidth = Math.round(width * 0.8) + 'px'; // smaller would not be read
  for (const e of boxes.edges) {
    const a = places.get(e.from), b = places.get(e.to);
    const x0 = a.x + a.w, y0 = a.y + a.h / 2, x1 = b.x - 5, y1 = b.y + b.h / 2, mid = Math.max(24, (x1 - x0) / 2);
    root.append(svg('path', { class: 'edge', d: `M${x0} ${y0} C${x0 + mid} ${y0} ${x1 - mid} ${y1} ${x1} ${y1}` }),
      svg('path', { class: 'head', d: `M${x1 - 4} ${y1 - 4} L${x1 + 4} ${y1} L${x1 - 4} ${y1 + 4}` }));
  }
  const numbers = new Map(model.groups.map((g, i) => [g.id, i]));
  for (const b of boxes.nodes) {
    const { x, y, w, h } = places.get(b.id);
    const all = b.lines.map((l) => l.label + (b.topic && l.kind ? ` (${l.kind})` : '') + (l.note ? ': ' + l.note : '')).join(', then ');
    const g = svg('g', { class: (b.topic ? 'topic' : 'node') + (b.group != null ? ' g' + numbers.get(b.group) % 6 : '') }, written('title', {}, all),
      svg('rect', { x, y, width: w, height: h, rx: b.topic ? Math.min(h / 2, 17) : 8 }));
    if (!b.topic) g.append(svg('rect', { class: 'side', x, y: y + 7, width: 3, height: h - 14, rx: 1.5 }));
    texts.get(b.id).forEach((t, i) => {
      const el = svg('text', { x: b.topic ? x + w / 2 : x + 14, y: y + 7 + (i + 0.5) * size.line + 4, class: t.main ? null : 'kind' });
      if (t.kind && t.text.startsWith(t.kind + ' ')) el.append(written('tspan', { class: 'kind' }, t.kind + ' '), written('tspan', {}, t.text.slice(t.kind.length + 1)));
      else el.textContent = t.text;
      g.append(el);
    });
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
