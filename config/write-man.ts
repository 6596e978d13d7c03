/** Writes `dist/mtlsd.1`. Part of `npm run build`. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { manPage } from './man-page.ts';

mkdirSync(new URL('../dist/', import.meta.url), { recursive: true });
writeFileSync(new URL('../dist/mtlsd.1', import.meta.url), await manPage());
