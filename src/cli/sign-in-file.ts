/** A page that signs in: its form posts the code, so that no URL, history or list of processes holds the code. */
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** @returns the path, readable by the user alone; the next call replaces it */
export async function writeSignInFile(home: string, url: string, code: string): Promise<string> {
  const path = join(home, 'sign-in.html');
  const temporary = `${path}.${process.pid}`;
  await rm(temporary, { force: true });
  const handle = await open(temporary, 'wx', 0o600);
  try {
    await handle.writeFile(page(url, code));
  } finally {
    await handle.close();
  }
  await rename(temporary, path);
  return path;
}

const page = (url: string, code: string): string => `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="color-scheme" content="light dark"><title>Sign in to mtlsd</title></head>
<body>
<form method="post" action="${url}login"><input type="hidden" name="secret" value="${code}"><button>Sign in to mtlsd</button></form>
<script>document.forms[0].submit()</script>
</body>
</html>
`;
