/** A process that adds entries one after another and reports each when it is acknowledged: FILE PREFIX COUNT. */
import { editStore } from '../../../../src/certs/store/edit.ts';

const [file = '', prefix = '', count = '0'] = process.argv.slice(2);
for (let i = 0; i < Number(count); i++) {
  const name = `${prefix}${i}`;
  await editStore(file, { do: 'add-certificate', certificate: { name, host: `${name}.example`, cert: 'x.pem' } });
  process.send?.(name);
}
process.disconnect?.();
