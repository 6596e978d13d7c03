/**
 * A process that adds entries to FILE one after another, named from PREFIX, and reports each when it is acknowledged. It goes
 * through the same lock and the same writes as an edit of the store, without the modules that understand YAML: those take
 * half a second to load, 200 times.
 */
import { changeFile } from '../../../../src/core/files/change-file.ts';

const [file = '', prefix = ''] = process.argv.slice(2);
for (let i = 0; ; i++) {
  const name = `${prefix}${i}`;
  await changeFile(file, (text) => ({ text: `${text}  - { name: ${name}, host: ${name}.example, cert: x.pem }\n` }));
  process.send?.(name);
}
