/**
 * Lets one caller continue in each turn of the event loop, in the order of their calls: many callers at once do not delay running
 * work.
 * @returns resolves when it is the caller's turn, at once where there is no crowd
 */
export function onePerTurn(): () => Promise<void> {
  const waiting: (() => void)[] = [];
  let taken = false;
  const nextTurn = (): void => {
    const go = waiting.shift();
    taken = go !== undefined;
    if (taken) setImmediate(nextTurn);
    go?.();
  };
  return () => {
    if (taken) return new Promise((resolve) => waiting.push(resolve));
    taken = true;
    setImmediate(nextTurn);
    return Promise.resolve();
  };
}
