import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OWN_NAME } from '../../src/core/own-name.ts';
import { OWN_ANSWER } from '../../src/proxy/own-name.ts';
import { curl, through } from '../support/curl.ts';
import { type RunningDaemon, startDaemon } from '../support/daemon.ts';

describe('the name that only the proxy answers', () => {
  let daemon: RunningDaemon;
  beforeAll(async () => {
    // Even where every other host is refused or passed through.
    daemon = await startDaemon({
      store: `version: 1\ninterception: { unmatched: refuse, passthrough: ["*.test"] }\n`,
    });
  });
  afterAll(() => daemon.stop());

  test.each(['--http1.1', '--http2'])('answers over https with a leaf of the local CA (%s)', async (version) => {
    const result = await curl(`https://${OWN_NAME}/`, [...through(daemon), version]);
    expect(result).toMatchObject({ exit: 0, status: 200 });
    expect(result.body).toContain(OWN_ANSWER);
  });

  test('answers one path, to GET and HEAD alone, and does not read bodies', async () => {
    expect(await curl(`https://${OWN_NAME}/other`, through(daemon))).toMatchObject({ status: 404 });
    expect(await curl(`https://${OWN_NAME}/`, [...through(daemon), '-d', 'x=1'])).toMatchObject({
      status: 405,
      headers: { allow: 'GET, HEAD' },
    });
    expect(await curl(`https://${OWN_NAME}/`, [...through(daemon), '--head'])).toMatchObject({ status: 200, body: '' });
  });

  test('has no certificate for whoever does not trust the local CA', async () => {
    expect(await curl(`https://${OWN_NAME}/`, ['--proxy', daemon.proxy])).toMatchObject({ exit: 60 });
  });

  test('is no exchange', async () => {
    const { exchanges } = (await (await daemon.api('/api/v1/exchanges')).json()) as { exchanges: unknown[] };
    expect(exchanges).toEqual([]);
  });
});
