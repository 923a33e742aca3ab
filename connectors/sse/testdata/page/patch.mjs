import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apply, same } from '../web/patch.js';
import { parser } from '../web/source.js';

test('RFC 6902, appendix A', () => {
  const cases = [
    [{ foo: 'bar' }, [{ op: 'add', path: '/baz', value: 'qux' }], { foo: 'bar', baz: 'qux' }],
    [{ foo: ['bar', 'baz'] }, [{ op: 'add', path: '/foo/1', value: 'qux' }], { foo: ['bar', 'qux', 'baz'] }],
    [{ baz: 'qux', foo: 'bar' }, [{ op: 'remove', path: '/baz' }], { foo: 'bar' }],
    [{ foo: ['bar', 'qux', 'baz'] }, [{ op: 'remove', path: '/foo/1' }], { foo: ['bar', 'baz'] }],
    [{ baz: 'qux', foo: 'bar' }, [{ op: 'replace', path: '/baz', value: 'boo' }], { baz: 'boo', foo: 'bar' }],
    [{ foo: { bar: 'baz', waldo: 'fred' }, qux: { corge: 'grault' } }, [{ op: 'move', from: '/foo/waldo', path: '/qux/thud' }], { foo: { bar: 'baz' }, qux: { corge: 'grault', thud: 'fred' } }],
    [{ foo: ['all', 'grass', 'cows', 'eat'] }, [{ op: 'move', from: '/foo/1', path: '/foo/3' }], { foo: ['all', 'cows', 'eat', 'grass'] }],
    [{ baz: 'qux', foo: ['a', 2, 'c'] }, [{ op: 'test', path: '/baz', value: 'qux' }, { op: 'test', path: '/foo/1', value: 2 }], { baz: 'qux', foo: ['a', 2, 'c'] }],
    [{ foo: 'bar' }, [{ op: 'add', path: '/child', value: { grandchild: {} } }], { foo: 'bar', child: { grandchild: {} } }],
    [{ '/': 9, '~1': 10 }, [{ op: 'test', path: '/~01', value: 10 }], { '/': 9, '~1': 10 }],
    [{ foo: ['bar'] }, [{ op: 'add', path: '/foo/-', value: ['abc', 'def'] }], { foo: ['bar', ['abc', 'def']] }],
    [{ a: { b: 1 } }, [{ op: 'copy', from: '/a', path: '/c' }], { a: { b: 1 }, c: { b: 1 } }],
    [1, [{ op: 'replace', path: '', value: { x: 1 } }], { x: 1 }],
  ];
  for (const [doc, ops, want] of cases) {
    const before = structuredClone(doc);
    assert.deepEqual(apply(doc, ops), want);
    assert.deepEqual(doc, before, 'the document given is not changed');
  }
});

test('an operation that does not fit throws', () => {
  for (const [doc, op] of [
    [{ foo: 'bar' }, { op: 'add', path: '/baz/bat', value: 'qux' }],
    [{ baz: 'qux' }, { op: 'test', path: '/baz', value: 'bar' }],
    [{ '/': 9, '~1': 10 }, { op: 'test', path: '/~01', value: '10' }],
    [{}, { op: 'remove', path: '/a' }],
    [{}, { op: 'replace', path: '/toString', value: 1 }],
    [{ l: [1] }, { op: 'add', path: '/l/3', value: 1 }],
    [{ l: [1] }, { op: 'add', path: '/l/01', value: 1 }],
    [{ a: { b: 1 } }, { op: 'move', from: '/a', path: '/a/c' }],
    [{}, { op: 'spam', path: '/a' }],
  ]) assert.throws(() => apply(doc, [op]), JSON.stringify(op));
});

test('a member called __proto__ is a member', () => {
  const doc = apply({}, [{ op: 'add', path: '/__proto__', value: { x: 1 } }]);
  assert.equal(doc.x, undefined);
  assert.deepEqual(Object.keys(doc), ['__proto__']);
  assert.equal(same(doc, {}), false);
});

// Event streams, as the WHATWG writes them down, cut at every place.
test('event streams are read alike however they are cut', () => {
  const text = '\ufeff: hello\r\nretry: 2500\nevent: delta\ndata: {"a":\ndata:1}\nid: v1.x.1\n\ndata: é\r\rid: v1.x.2\n\nevent: no data\n\ndata: unfinished';
  const want = [{ kind: 'delta', data: '{"a":\n1}', id: 'v1.x.1' }, { kind: 'message', data: 'é', id: 'v1.x.1' }];
  for (let size = 1; size <= text.length; size++) {
    const got = [], retries = [];
    const p = parser((e) => got.push(e), (ms) => retries.push(ms));
    for (let i = 0; i < text.length; i += size) p.feed(text.slice(i, i + size));
    assert.deepEqual(got, want, `pieces of ${size}`);
    assert.deepEqual(retries, [2500]);
    assert.equal(p.id, 'v1.x.2');
  }
});
