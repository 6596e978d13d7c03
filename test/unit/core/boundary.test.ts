import { describe, expect, test } from 'vitest';
import { Boundary, contained, type Fault, faultFields } from '../../../src/core/boundary.ts';

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

test('a promise that rejects is contained too', async () => {
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

test('a callback that is called again and again reports each throw, and each rejection', async () => {
  const faults: Fault[] = [];
  const callback = contained(
    'reload',
    (fault) => faults.push(fault),
    (text: string) => {
      if (text === 'later') return Promise.reject(new Error(text));
      throw new Error(text);
    },
  );
  callback('one');
  callback('two');
  callback('later');
  await new Promise((resolve) => setImmediate(resolve));
  expect(faults.map(({ scope, error }) => [scope, (error as Error).message])).toEqual([
    ['reload', 'one'],
    ['reload', 'two'],
    ['reload', 'later'],
  ]);
});

describe('the fields of a fault', () => {
  const fieldsOf = (error: unknown) => faultFields({ scope: 'daemon', id: null, error });

  test('are text of bounded length', () => {
    const { message, stack } = fieldsOf(new Error('x'.repeat(100_000)));
    expect([message.length, stack?.length]).toEqual([4000, 4000]);
  });

  test.each([
    ['text', 'text'],
    [undefined, 'a value without text was thrown'],
    [{ a: 1 }, '{ a: 1 }'],
    [null, 'null'],
  ])('of %o, which is no error, tell what it is', (thrown, message) => {
    expect(fieldsOf(thrown)).toEqual({ scope: 'daemon', id: null, message, stack: null });
  });

  test('come without a throw even of an error whose parts throw', () => {
    const error = new Error('real');
    Object.defineProperty(error, 'message', {
      get: () => {
        throw new Error('again');
      },
    });
    Object.defineProperty(error, 'stack', { value: Symbol('no text') });
    expect(fieldsOf(error)).toMatchObject({ message: 'a value without text was thrown' });
  });
});
