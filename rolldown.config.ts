import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig, type Plugin } from 'rolldown';

/**
 * What is published: src/ and its libraries in a few files. Loading some thousand modules one by one took half of the time
 * from start to listening, and 30 MB (measured in bench/).
 */
export default defineConfig({
  input: {
    main: 'src/cli/main.ts',
    'decode-worker': 'src/certs/identity/decode-worker.ts',
    'parse-worker': 'src/certs/store/parse-worker.ts',
  },
  platform: 'node',
  output: {
    dir: 'dist/cli',
    format: 'esm',
    cleanDir: true,
    minify: { compress: false, mangle: false, codegen: { removeWhitespace: true } },
  },
  plugins: [licences()],
});

/** The libraries' licences ask to go where their code goes. */
function licences(): Plugin {
  return {
    name: 'licences',
    generateBundle(_options, bundle) {
      const packages = new Set<string>();
      for (const chunk of Object.values(bundle)) {
        if (chunk.type !== 'chunk') continue;
        for (const id of chunk.moduleIds) {
          const [, root] = /^(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(id.replace('\0', '')) ?? [];
          if (root) packages.add(root);
        }
      }
      const texts = [...packages].sort().map((root) => {
        const { name, version, license } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<
          string,
          string
        >;
        const file = readdirSync(root).find((entry) => /^licen[cs]e/i.test(entry));
        const text =
          file && existsSync(join(root, file)) ? readFileSync(join(root, file), 'utf8').trim() : `Licence: ${license}`;
        return `${name} ${version}\n\n${text}\n`;
      });
      this.emitFile({ type: 'asset', fileName: 'LICENCES.txt', source: texts.join(`\n${'-'.repeat(80)}\n\n`) });
    },
  };
}
