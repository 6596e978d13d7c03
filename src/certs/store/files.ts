/** The files that a store names: whether they changed, and which folders to watch. */
import { lstat, readlink, stat } from 'node:fs/promises';
import path from 'node:path';
import { TimeSlice } from '../../core/time-slice.ts';

/** How many stat calls are under way at once; libuv runs four, the rest keep them busy. */
const STATS_AT_ONCE = 64;

/** Runs `work` on all items, a few at a time. */
export async function each<T>(items: Iterable<T>, atOnce: number, work: (item: T) => Promise<void>): Promise<void> {
  const iterator = items[Symbol.iterator]();
  const slice = new TimeSlice();
  const runner = async () => {
    for (let next = iterator.next(); !next.done; next = iterator.next()) {
      await work(next.value);
      if (slice.over) await slice.next();
    }
  };
  await Promise.all(Array.from({ length: atOnce }, runner));
}

/** A text per file that differs whenever its content may: another inode, size or time. `missing` where it can't be read. */
export async function fingerprints(files: Iterable<string>): Promise<Map<string, string>> {
  const prints = new Map<string, string>();
  await each(new Set(files), STATS_AT_ONCE, async (file) => {
    prints.set(file, await fingerprint(file));
  });
  return prints;
}

async function fingerprint(file: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs, mode } = await stat(file, { bigint: true });
    return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}:${mode}`;
  } catch {
    return 'missing';
  }
}

/** Folder -> the names in it whose change matters. */
export type Watched = Map<string, Set<string>>;

/**
 * The folders to watch for each file: its own, those of the symbolic links on its path (Kubernetes: `tls.crt -> ..data/tls.crt`,
 * `..data -> ..2026_01`), and for a missing file the nearest folder that exists.
 */
export async function watchedFolders(files: Iterable<string>): Promise<Watched> {
  const watched: Watched = new Map();
  const links = new Map<string, Promise<string | null | undefined>>();
  const note = (folder: string, name: string) => {
    const names = watched.get(folder);
    if (names) names.add(name);
    else watched.set(folder, new Set([name]));
  };
  await each(new Set(files), STATS_AT_ONCE, (file) => walk(file, note, links));
  return watched;
}

/** As many links as Linux follows (path_resolution(7)). */
const MOST_LINKS = 40;

async function walk(
  file: string,
  note: (folder: string, name: string) => void,
  links: Map<string, Promise<string | null | undefined>>,
): Promise<void> {
  let rest = path.resolve(file);
  for (let hop = 0; hop < MOST_LINKS; hop++) {
    const { root } = path.parse(rest);
    const parts = rest.slice(root.length).split(path.sep).filter(Boolean);
    let at = root;
    let next: string | null = null;
    for (const [i, part] of parts.entries()) {
      const here = path.join(at, part);
      let link = links.get(here);
      if (!link) links.set(here, (link = linkTarget(here)));
      const target = await link;
      const last = i === parts.length - 1;
      if (last || target !== null) note(at, part);
      if (target === undefined) return; // missing: the folder above tells when it appears
      if (target !== null) {
        next = path.join(path.resolve(at, target), ...parts.slice(i + 1));
        break;
      }
      at = here;
    }
    if (next === null) {
      // The folder itself may be replaced by another of the same name.
      note(path.dirname(at), path.basename(path.dirname(rest)));
      return;
    }
    rest = next;
  }
}

/** The target of a symbolic link, null for anything else, undefined where there is nothing. */
async function linkTarget(file: string): Promise<string | null | undefined> {
  try {
    return (await lstat(file)).isSymbolicLink() ? await readlink(file) : null;
  } catch {
    return undefined;
  }
}
