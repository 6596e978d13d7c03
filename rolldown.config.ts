import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
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
  plugins: [bareBuiltins(), asciiOnly(), licences()],
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

/**
 * Builtins without Node's wrapping of them as ES modules, which reads every export once; those of node:http reach for a whole
 * WebSocket client (Node 24.21). 40 ms of the start, and 6 MB.
 */
function bareBuiltins(): Plugin {
  const prefix = '\0builtin:';
  return {
    name: 'bare-builtins',
    resolveId(source, _importer, { kind }) {
      return kind === 'import-statement' && isBuiltin(source) ? prefix + source : null;
    },
    load(id) {
      if (!id.startsWith(prefix)) return null;
      const name = id.slice(prefix.length);
      // Each on its own, so that what nobody imports is left out and not read.
      const exports = Object.getOwnPropertyNames(process.getBuiltinModule(name))
        .filter((key) => /^[A-Za-z_]\w*$/.test(key) && key !== 'default')
        .map((key) => `export const ${key} = /* @__PURE__ */ (() => builtin.${key})();`);
      return [
        `const builtin = process.getBuiltinModule(${JSON.stringify(name)});`,
        'export default builtin;',
        ...exports,
      ].join('\n');
    },
  };
}

/** One character beyond ASCII makes V8 keep a megabyte of text as two, and decode it slowly. */
function asciiOnly(): Plugin {
  return {
    name: 'ascii-only',
    generateBundle(_options, bundle) {
      for (const chunk of Object.values(bundle))
        if (chunk.type === 'chunk')
          chunk.code = chunk.code.replace(
            /[^\0-\x7f]/g,
            (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
          );
    },
  };
}
