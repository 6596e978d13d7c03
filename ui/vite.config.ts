import { readFileSync } from 'node:fs';
import { defineConfig } from 'vite';

/** The page: a few files below dist/ui, of which the daemon serves nothing inline and nothing from elsewhere. */
export default defineConfig({
  base: '/',
  build: {
    outDir: '../dist/ui',
    emptyOutDir: true,
    target: ['chrome123', 'firefox120', 'safari17.5'], // light-dark(), popover
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0, // data: is not in the policy
    cssCodeSplit: false,
    reportCompressedSize: true,
    license: { fileName: 'LICENCES.md' },
  },
  define: {
    __VERSION__: JSON.stringify((JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }).version),
  },
});
