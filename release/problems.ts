/** What keeps a commit from being released: plain data in, sentences out. */

export interface ReleaseFacts {
  readonly version: string;
  readonly packageVersion: string;
  readonly lockVersion: string;
  readonly changelog: string;
  /** Files that name the image with its version. */
  readonly images: readonly { readonly name: string; readonly text: string }[];
  /** As `git status --porcelain` prints them. */
  readonly changedFiles: string;
}

export function problemsOf(facts: ReleaseFacts): string[] {
  const { version, packageVersion, lockVersion, changelog, images, changedFiles } = facts;
  if (!/^\d+\.\d+\.\d+(-[0-9A-Za-z.]+)?$/.test(version))
    return [`${JSON.stringify(version)} is not a version: npm run release -- 1.2.3`];
  const problems: string[] = [];
  for (const [file, found] of [
    ['package.json', packageVersion],
    ['package-lock.json', lockVersion],
  ] as const)
    if (found !== version) problems.push(`${file} has version ${found}: npm version --no-git-tag-version ${version}`);
  for (const { name, text } of images)
    for (const [, found] of text.matchAll(/image: mtlsd:(\S+)/g))
      if (found !== version) problems.push(`${name} names mtlsd:${found}: write mtlsd:${version}`);
  const section = sectionOf(changelog, version);
  if (section === null) problems.push(`CHANGELOG.md has no section "## ${version} - DATE": rename Unreleased`);
  else if (section === '') problems.push(`CHANGELOG.md says nothing under ${version}`);
  if (sectionOf(changelog, 'Unreleased'))
    problems.push('CHANGELOG.md has entries under Unreleased: move them to the version');
  if (changedFiles !== '') problems.push(`the work tree has changes: commit or stash them\n${changedFiles}`);
  return problems;
}

/** The text under `## TITLE` or `## TITLE - 2026-01-31`; null where there is no such heading. */
function sectionOf(changelog: string, title: string): string | null {
  const lines = changelog.split('\n');
  const start = lines.findIndex(
    (line) => line === `## ${title}` || new RegExp(`^## ${escape(title)} - \\d{4}-\\d{2}-\\d{2}$`).test(line),
  );
  if (start === -1) return null;
  const length = lines.slice(start + 1).findIndex((line) => line.startsWith('## '));
  return lines
    .slice(start + 1, length === -1 ? undefined : start + 1 + length)
    .join('\n')
    .trim();
}

const escape = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
