/** A process that rotates the local CA in DIR again and again, and tells when it has begun. */
import { openLocalCa } from '../../../../src/certs/local-ca/local-ca.ts';

const [dir = ''] = process.argv.slice(2);
const { rotation } = await openLocalCa(dir);
process.send?.('open');
for (;;) {
  await rotation?.begin(3_600_000);
  if (Math.random() < 0.3) await rotation?.cancel();
  else await rotation?.finish();
}
