/** The home folder, its files, the local CA, the ports, the daemon, the clock. */
import { createPrivateKey } from 'node:crypto';
import { access, constants, readFile, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expiresSoon } from '../../certs/store/expiry.ts';
import { asMtlsdError } from '../../core/errors.ts';
import { certificateFacts, isSelfSigned } from '../../core/facts.ts';
import { octal } from '../../core/files/own-folder.ts';
import { readRunFile } from '../../run-file.ts';
import { readCas } from '../ca-file.ts';
import { failed, type CheckResult, ok, skipped, warning } from './check.ts';

export async function checkHome(home: string): Promise<CheckResult[]> {
  const found = await stat(home).catch(() => null);
  if (!found)
    return [failed('home', `${home} does not exist`, 'mtlsd start makes it, or name another with --home DIR')];
  const findings: CheckResult[] = [];
  const writable = await access(home, constants.R_OK | constants.W_OK | constants.X_OK).then(
    () => true,
    () => false,
  );
  if (!writable)
    findings.push(
      failed('home', `${home} can't be read and written by this user`, `run mtlsd as its owner: ls -ld ${home}`),
    );
  else if (process.platform !== 'win32' && (found.mode & 0o022) !== 0)
    findings.push(
      failed(
        'home',
        `${home} can be written by others (mode ${octal(found.mode)}), and mtlsd does not start with it`,
        `chmod 700 ${home}`,
      ),
    );
  else if (process.platform !== 'win32' && (found.mode & 0o077) !== 0)
    findings.push(
      warning('home', `${home} can be looked into by others (mode ${octal(found.mode)})`, `chmod 700 ${home}`),
    );
  else findings.push(ok('home', `${home} is this user's alone`));
  for (const [file, secret] of SECRETS) {
    const path = join(home, file);
    const stats = await stat(path).catch(() => null);
    if (!stats || process.platform === 'win32') continue;
    if ((stats.mode & 0o077) !== 0)
      findings.push(
        (secret === 'must' ? failed : warning)(
          'permissions',
          `${path} can be read by others (mode ${octal(stats.mode)})`,
          `chmod 600 ${path}`,
        ),
      );
  }
  if (!findings.some(({ check }) => check === 'permissions'))
    findings.push(ok('permissions', 'secrets are readable by this user alone'));
  return findings;
}

/** The daemon does not start with the first three readable by others; the store may hold passphrases. */
const SECRETS = [
  ['ca/ca.key', 'must'],
  ['ca/next.pem', 'must'],
  ['admin.token', 'must'],
  ['certificates.yaml', 'should'],
] as const;

export async function checkCa(home: string): Promise<CheckResult[]> {
  const pem = await readFile(join(home, 'ca/ca.pem'), 'utf8').catch(() => null);
  if (pem === null) return [failed('local CA', `there is none in ${home}`, 'mtlsd start makes it')];
  const own = await ownCaNamed(home);
  const next = own
    ? `renew it, and replace ${own}`
    : `remove ${join(home, 'ca')}, start the daemon, and let clients trust the new one`;
  try {
    const cas = await readCas(home);
    const { certificate } = cas.current;
    const { subject, not_after } = certificateFacts(certificate);
    const { validFromDate: from, validToDate: to } = certificate;
    // The passphrase, and a key of the user's own, may be where the daemon alone can read them.
    const key = own ? null : await readFile(join(home, 'ca/ca.key'), 'latin1');
    const encrypted = key?.includes('ENCRYPTED') ?? false;
    const signs = [certificate, ...(cas.next ? [cas.next.certificate] : [])];
    if (key !== null && !encrypted && !signs.some((each) => each.checkPrivateKey(createPrivateKey(key))))
      return [failed('local CA', 'its key is not the key of its certificate', next)];
    if (to.getTime() < Date.now()) return [failed('local CA', `it expired at ${not_after}`, next)];
    const what = `${subject}, until ${not_after.slice(0, 10)}`;
    if (own && !isSelfSigned(certificate))
      return [
        warning(
          'local CA',
          `${subject} is an intermediate, and some clients accept a root only`,
          `append the root to ${own}`,
        ),
      ];
    if (cas.next)
      return [
        ok(
          'local CA',
          `${subject} signs; ${certificateFacts(cas.next.certificate).subject} takes over: mtlsd ca show says when`,
        ),
      ];
    if (expiresSoon(from, to, false))
      return [warning('local CA', `it expires soon: ${what}`, own ? next : 'mtlsd ca rotate, while the daemon runs')];
    return [ok('local CA', `${what}${encrypted ? ', its key encrypted' : own ? `, for the CA in ${own}` : ''}`)];
  } catch (error) {
    return [failed('local CA', `it can't be read: ${(error as Error).message}`, next)];
  }
}

/** A mistake in mtlsd.yaml is another finding. */
async function ownCaNamed(home: string): Promise<string | null> {
  const { loadSettings } = await import('../../settings/load.ts');
  return loadSettings({ home }, process.env).then(
    ({ ca }) => ca.own?.cert ?? null,
    () => null,
  );
}

export async function checkDaemon(home: string): Promise<CheckResult[]> {
  const run = await readRunFile(home);
  if (run) return [ok('daemon', `process ${run.pid}, version ${run.version}, proxy ${run.proxy.join(' and ')}`)];
  const stale = await stat(join(home, 'run.json')).catch(() => null);
  const findings = [
    warning('daemon', stale ? 'it was killed: run.json is still there' : 'it does not run', 'mtlsd start'),
  ];
  const { loadSettings } = await import('../../settings/load.ts');
  try {
    const { listen, admin } = await loadSettings({ home }, process.env);
    for (const place of [...listen, admin])
      if ('port' in place && place.port !== 0) findings.push(await checkPort(place));
  } catch (error) {
    findings.push(failed('settings', asMtlsdError(error).message, 'correct mtlsd.yaml at the place named'));
  }
  return findings;
}

function checkPort({ host, port }: { host: string; port: number }): Promise<CheckResult> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) =>
      resolve(
        failed(
          'ports',
          `${host}:${port} can't be listened on: ${error.code}`,
          'end what has it, or choose another with --listen or --admin',
        ),
      ),
    );
    server.listen(port, host, () => server.close(() => resolve(ok('ports', `${host}:${port} is free`))));
  });
}

/** A clock far off makes every certificate look wrong. Nothing is asked of the network; the files here tell enough. */
export async function checkClock(home: string): Promise<CheckResult[]> {
  const made = await stat(join(home, 'ca/ca.pem')).catch(() => null);
  if (!made) return [skipped('clock', 'nothing here to hold it against')];
  if (made.mtimeMs > Date.now() + 60_000)
    return [
      failed(
        'clock',
        `it says ${new Date().toISOString()}, which is before the local CA was made (${made.mtime.toISOString()})`,
        "set this machine's clock",
      ),
    ];
  return [ok('clock', 'plausible')];
}
