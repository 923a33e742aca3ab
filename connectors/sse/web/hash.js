// The hash by which a row's patches are checked: FNV-1a, 64 bits, of the row
// as canonical JSON (members sorted by name, no spaces), without its _key.

const encoder = new TextEncoder();

// canonical writes JSON in one way only.
export function canonical(v) {
  if (Array.isArray(v)) return '[' + v.map(canonical).join(',') + ']';
  if (v !== null && typeof v === 'object') return '{' + Object.keys(v).sort().map((k) => JSON.stringify(k) + ':' + canonical(v[k])).join(',') + '}';
  return JSON.stringify(v);
}

// fnv is FNV-1a over bytes, in two halves: the prime is 2^40 + 0x1b3.
export function fnv(bytes) {
  let high = 0xcbf29ce4, low = 0x84222325;
  for (const b of bytes) {
    low = (low ^ b) >>> 0;
    const product = low * 0x1b3;
    high = (high * 0x1b3 + low * 0x100 + Math.floor(product / 0x100000000)) % 0x100000000;
    low = product % 0x100000000;
  }
  return high.toString(16).padStart(8, '0') + low.toString(16).padStart(8, '0');
}

export function hash(row) {
  const { _key, ...rest } = row;
  return fnv(encoder.encode(canonical(rest)));
}
