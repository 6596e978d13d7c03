/** Where the content of a certificate, a key or a PFX comes from: a file, a variable, or a program's output. */
import path from 'node:path';
import { durationMs } from '../../core/time.ts';
import type { IdentitySource } from '../identity/load.ts';
import type { FileSource } from '../identity/read-file.ts';
import type { MaterialFields } from './schema.ts';

export interface MaterialSources {
  readonly cert: MaterialFields | null;
  readonly key: MaterialFields | null;
  readonly pfx: MaterialFields | null;
}

/** @param folder of the store: paths are relative to it, and programs run in it */
export function materialSource(material: MaterialFields | null, folder: string): FileSource | null {
  if (material === null) return null;
  if (typeof material === 'string') return { path: path.resolve(folder, material) };
  if ('env' in material) return { env: material.env, label: `the variable ${material.env}` };
  const { command } = material;
  return { command, cwd: folder, label: `the output of ${command[0]}` };
}

export function materialSources(
  { cert, key, pfx }: MaterialSources,
  folder: string,
): Pick<IdentitySource, 'cert' | 'key' | 'pfx'> {
  return {
    cert: materialSource(cert, folder),
    key: materialSource(key, folder),
    pfx: materialSource(pfx, folder),
  };
}

/** The paths among them, as written. */
export function pathsOf({ cert, key, pfx }: MaterialSources): string[] {
  return [cert, key, pfx].filter((material) => typeof material === 'string');
}

/** Whether a program runs for it, which may ask its user for something. */
export function runsProgram({ cert, key, pfx }: MaterialSources): boolean {
  return [cert, key, pfx].some((material) => isCommand(material));
}

/** What changes with the environment; '' for files alone. */
export function materialPrint({ cert, key, pfx }: MaterialSources): string {
  const others = [cert, key, pfx].map((material) => (typeof material === 'string' ? null : material));
  if (others.every((material) => material === null)) return '';
  const values = others.map((material) => (material && 'env' in material ? process.env[material.env] : undefined));
  return JSON.stringify([others, values]);
}

/** A shorter interval would cost more than it gains. */
const SHORTEST_REFRESH_MS = 1000;

/** How often it is read again: the shortest `refresh` of its programs; null for never. */
export function refreshMs({ cert, key, pfx }: MaterialSources): number | null {
  const times = [cert, key, pfx].flatMap((material) => {
    if (!isCommand(material) || material.refresh === undefined) return [];
    return Math.max(durationMs(material.refresh), SHORTEST_REFRESH_MS);
  });
  return times.length === 0 ? null : Math.min(...times);
}

function isCommand(material: MaterialFields | null): material is Extract<MaterialFields, { command: unknown }> {
  return material !== null && typeof material === 'object' && 'command' in material;
}
