import { expect, test } from 'vitest';
import { Lru } from '../../../src/core/lru.ts';

test('keeps the last used, as many as it may', () => {
  const lru = new Lru<string, number>(2);
  lru.set('a', 1);
  lru.set('b', 2);
  expect(lru.get('a')).toBe(1);
  lru.set('c', 3);
  expect(['a', 'b', 'c'].map((key) => lru.get(key))).toEqual([1, undefined, 3]);
  lru.set('a', 4);
  expect([lru.size, lru.get('a')]).toEqual([2, 4]);
  lru.delete('a');
  expect([lru.size, lru.get('a')]).toEqual([1, undefined]);
});

test('hands out what it drops, once, and not what is used again', () => {
  const dropped: string[] = [];
  const lru = new Lru<string, string>(2, (value) => dropped.push(value));
  for (const [key, value] of ['a1', 'b1', 'a2', 'c1'].entries()) lru.set(value.slice(0, 1), `${key}:${value}`);
  lru.get('a');
  expect(dropped).toEqual(['0:a1', '1:b1']);
});
