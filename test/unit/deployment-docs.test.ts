import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';

const pages = ['docs/deployment.md', ...readdirSync('docs/deployment').map((name) => `docs/deployment/${name}`)];

test('docs/deployment.md leads to every page, and no link or file that a page names is missing', () => {
  const missing = [];
  const linked = new Set<string>();
  for (const page of pages) {
    const text = readFileSync(page, 'utf8');
    for (const [, target = ''] of text.matchAll(/\]\(([^)#:]*)#?[^)]*\)/g)) {
      const path = target === '' ? page : join(dirname(page), target);
      if (!existsSync(path)) missing.push(`${page}: ${target}`);
      if (page === 'docs/deployment.md') linked.add(path);
    }
    for (const [path] of text.matchAll(/\bdeploy\/[\w./-]*\w/g))
      if (!existsSync(path)) missing.push(`${page}: ${path}`);
  }
  expect(missing).toEqual([]);
  expect([...linked].filter((path) => path.startsWith('docs/deployment/')).sort()).toEqual(pages.slice(1).sort());
});
