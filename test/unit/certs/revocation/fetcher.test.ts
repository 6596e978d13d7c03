import { afterEach, expect, test, vi } from 'vitest';
import { CrlFetcher } from '../../../../src/certs/revocation/fetcher.ts';
import { CrlBook } from '../../../../src/core/revocation/book.ts';
import { DAY } from '../../../support/pki.ts';
import { folderFor } from '../store/support.ts';

const MINUTE = 60_000;

afterEach(() => vi.useRealTimers());

test('a CRL whose fetch failed is fetched again within two minutes, also by a clock that is set back', async () => {
  vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'] });
  const failed = vi.fn<(url: string) => void>();
  const fetcher = new CrlFetcher({
    book: new CrlBook(),
    folder: folderFor(),
    connect: () => Promise.reject(new Error('nobody there')),
    anchors: () => [],
    onUpdated: () => {},
    onFailed: failed,
  });
  await fetcher.update(new Set(['http://crl.test.example/a.crl']));
  await vi.waitFor(() => expect(failed).toHaveBeenCalledTimes(1));
  vi.setSystemTime(Date.now() - DAY);
  await vi.advanceTimersByTimeAsync(2 * MINUTE);
  await vi.waitFor(() => expect(failed.mock.calls.length).toBeGreaterThan(1));
  fetcher.close();
});
