import { describe, expect, test } from 'vitest';
import { problemsOf, type ReleaseFacts } from '../../release/problems.ts';
import { bundledSbom } from '../../release/sbom.ts';

const good: ReleaseFacts = {
  version: '1.2.3',
  packageVersion: '1.2.3',
  lockVersion: '1.2.3',
  changelog: '# Changelog\n\n## Unreleased\n\n## 1.2.3 - 2026-01-31\n\n- New.\n\n## 1.2.2 - 2026-01-01\n\n- Old.\n',
  images: [{ name: 'compose.yaml', text: 'image: mtlsd:1.2.3\nimage: other:5' }],
  changedFiles: '',
};

describe('what keeps a commit from being released', () => {
  test('nothing, where all fits', () => {
    expect(problemsOf(good)).toEqual([]);
    expect(problemsOf({ ...good, changelog: good.changelog.replace('## Unreleased\n\n', '') })).toEqual([]);
  });

  test.each<[Partial<ReleaseFacts>, string]>([
    [{ version: 'v1.2.3' }, '"v1.2.3" is not a version: npm run release -- 1.2.3'],
    [{ version: '' }, '"" is not a version: npm run release -- 1.2.3'],
    [{ packageVersion: '1.2.2' }, 'package.json has version 1.2.2: npm version --no-git-tag-version 1.2.3'],
    [{ lockVersion: '1.2.2' }, 'package-lock.json has version 1.2.2: npm version --no-git-tag-version 1.2.3'],
    [{ images: [{ name: 'a.yaml', text: 'image: mtlsd:1.2.2' }] }, 'a.yaml names mtlsd:1.2.2: write mtlsd:1.2.3'],
    [{ changelog: '## Unreleased\n' }, 'CHANGELOG.md has no section "## 1.2.3 - DATE": rename Unreleased'],
    [{ changelog: '## 1.2.3 - 2026-01-31\n\n## 1.2.2\n\n- x' }, 'CHANGELOG.md says nothing under 1.2.3'],
    [
      { changelog: good.changelog.replace('Unreleased\n', 'Unreleased\n\n- Later.\n') },
      'CHANGELOG.md has entries under Unreleased: move them to the version',
    ],
    [{ changedFiles: ' M src/x.ts' }, 'the work tree has changes: commit or stash them\n M src/x.ts'],
  ])('%o', (change, problem) => {
    expect(problemsOf({ ...good, ...change })).toEqual([problem]);
  });
});

test('the bill of materials holds what the bundles hold, and nothing that differs from one run to the next', () => {
  const component = (name: string, version: string) => ({
    'bom-ref': `${name}@${version}`,
    name,
    version,
    scope: 'optional',
  });
  const sbom = (serialNumber: string) =>
    JSON.stringify({
      serialNumber,
      metadata: {
        timestamp: serialNumber,
        component: { 'bom-ref': 'mtlsd@1.0.0', name: 'a-folder', version: '1.0.0' },
      },
      components: [
        component('undici', '8.0.0'),
        component('undici', '7.0.0'),
        component('@preact/signals', '2.0.0'),
        component('vitest', '5.0.0'),
        component('node', '24.0.0'),
      ],
      dependencies: [{ ref: 'mtlsd@1.0.0', dependsOn: ['undici@8.0.0', 'vitest@5.0.0'] }],
    });
  const licences = 'undici 8.0.0\n\nMIT\n## @preact/signals - 2.0.0 (MIT)\n';
  const made = JSON.parse(bundledSbom(sbom('1'), licences, 0)) as {
    metadata: { component: object };
    components: { name: string; version: string; scope: string }[];
    dependencies: object;
  };
  expect(made.components.map(({ name, version, scope }) => [name, version, scope])).toEqual([
    ['undici', '8.0.0', 'required'],
    ['@preact/signals', '2.0.0', 'required'],
    ['node', '24.0.0', 'required'],
  ]);
  expect(made.metadata).toMatchObject({ component: { name: 'mtlsd' }, timestamp: '1970-01-01T00:00:00.000Z' });
  expect(made.dependencies).toEqual([{ ref: 'mtlsd@1.0.0', dependsOn: ['undici@8.0.0'] }]);
  expect(bundledSbom(sbom('2'), licences, 0)).toBe(bundledSbom(sbom('1'), licences, 0));
});
