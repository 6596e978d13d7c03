import { readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';

/** The package's, from src/ and from the bundle alike. */
export const VERSION: string = (
  JSON.parse(readFileSync(findPackageJSON('.', import.meta.url) ?? 'package.json', 'utf8')) as { version: string }
).version;
