import { expect, test } from 'vitest';
import { Boundary, type Fault } from '../../../src/core/boundary.ts';

function boundary(fail: (error: unknown) => void = () => {}) {
  const faults: Fault[] = [];
  return { faults, inside: new Boundary('exchange', (fault) => faults.push(fault), fail, 'x-1') };
}

test('a callback that throws fails its owner once and is reported once', () => {
  const failed: unknown[] = [];
  const { faults, inside } = boundary((error) => failed.push(error));
  const boom = new Error('boom');
  const callback = inside.guard(() => {
    throw boom;
  });
  callback();
  callback();
  expect(failed).toEqual([boom]);
  expect(faults).toEqual([{ scope: 'exchange', id: 'x-1', error: boom }]);
});

test('a promise that rejects is contained as well', async () => {
  const { faults, inside } = boundary();
  inside.enter(() => Promise.reject(new Error('later')));
  await new Promise((resolve) => setImmediate(resolve));
  expect(faults.map(({ error }) => (error as Error).message)).toEqual(['later']);
});

test('an owner that fails to fail is reported too', () => {
  const { faults, inside } = boundary(() => {
    throw new Error('second');
  });
  inside.fault(new Error('first'));
  expect(faults.map(({ error }) => (error as Error).message)).toEqual(['first', 'second']);
});
