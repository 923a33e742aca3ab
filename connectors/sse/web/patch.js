// JSON Patch (RFC 6902): how a document view's rows change when a stream is
// opened with ?format=json-patch. A row may be large and its change small.

const token = (t) => t.replaceAll('~1', '/').replaceAll('~0', '~');

function split(pointer) {
  if (pointer === '') return [];
  if (typeof pointer !== 'string' || pointer[0] !== '/') throw new Error(`patch: not a pointer: ${pointer}`);
  return pointer.slice(1).split('/').map(token);
}

const own = (o, k) => o !== null && typeof o === 'object' && Object.hasOwn(o, k);

function step(doc, key) {
  if (Array.isArray(doc)) {
    if (!/^(0|[1-9]\d*)$/.test(key) || +key >= doc.length) throw new Error(`patch: no element ${key}`);
    return doc[+key];
  }
  if (!own(doc, key)) throw new Error(`patch: no member ${key}`);
  return doc[key];
}

const at = (doc, keys) => keys.reduce(step, doc);

// put gives a copy of doc in which what keys lead to is changed; what they do
// not lead through is shared with the old one.
function put(doc, keys, change) {
  const [key, ...rest] = keys;
  const copy = Array.isArray(doc) ? [...doc] : { ...doc };
  if (!rest.length) change(copy, key);
  else Object.defineProperty(copy, key, { value: put(step(doc, key), rest, change), enumerable: true, writable: true, configurable: true });
  return copy;
}

// A row's member may be called __proto__: it is defined, never assigned.
const define = (o, key, value) => Object.defineProperty(o, key, { value, enumerable: true, writable: true, configurable: true });

function add(doc, keys, value) {
  if (!keys.length) return value;
  return put(doc, keys, (parent, key) => {
    if (!Array.isArray(parent)) return define(parent, key, value);
    const i = key === '-' ? parent.length : +key;
    if (key !== '-' && !/^(0|[1-9]\d*)$/.test(key) || i > parent.length) throw new Error(`patch: no place ${key}`);
    parent.splice(i, 0, value);
  });
}

function remove(doc, keys) {
  if (!keys.length) return null;
  at(doc, keys); // it must be there
  return put(doc, keys, (parent, key) => { if (Array.isArray(parent)) parent.splice(+key, 1); else delete parent[key]; });
}

function replace(doc, keys, value) {
  if (!keys.length) return value;
  at(doc, keys);
  return put(doc, keys, (parent, key) => { if (Array.isArray(parent)) parent[+key] = value; else define(parent, key, value); });
}

// same compares two JSON values.
export function same(a, b) {
  if (a === b) return true;
  if (a === null || b === null || typeof a !== 'object' || typeof b !== 'object' || Array.isArray(a) !== Array.isArray(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((k) => Object.hasOwn(b, k) && same(a[k], b[k]));
}

// apply gives the document after the operations; the one given is not changed.
// All of them apply or none: it throws where one does not.
export function apply(doc, ops) {
  for (const op of ops) {
    const keys = split(op.path);
    switch (op.op) {
      case 'add': doc = add(doc, keys, op.value); break;
      case 'remove': doc = remove(doc, keys); break;
      case 'replace': doc = replace(doc, keys, op.value); break;
      case 'copy': doc = add(doc, keys, at(doc, split(op.from))); break;
      case 'move': {
        if (op.path.startsWith(op.from + '/')) throw new Error('patch: a value cannot move into itself');
        const value = at(doc, split(op.from));
        doc = add(remove(doc, split(op.from)), keys, value);
        break;
      }
      case 'test':
        if (!same(at(doc, keys), op.value)) throw new Error(`patch: test of ${op.path} failed`);
        break;
      default: throw new Error(`patch: unknown operation ${op.op}`);
    }
  }
  return doc;
}
