/** The path of a UNIX socket that is about to be listened on. */
import { lstat, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { badConfiguration, nativeCode } from './errors.ts';

/**
 * Removes the socket that a killed daemon left.
 * @throws MtlsdError BAD_CONFIGURATION where a program listens there, or where the path is no socket
 */
export async function clearSocketPath(path: string): Promise<void> {
  const stats = await lstat(path).catch(() => null);
  if (stats === null) return;
  if (!stats.isSocket())
    throw badConfiguration(`${path} is there already, and is not a socket`, 'remove it, or choose another path');
  if (!(await isDead(path)))
    throw badConfiguration(
      `another program listens on ${path}, perhaps another mtlsd`,
      'stop it, or choose another path',
    );
  await rm(path, { force: true });
}

/** Only certain cases: a socket with a full backlog, or of another user, may be alive. */
function isDead(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(false);
    });
    socket.once('error', (error) => resolve(['ECONNREFUSED', 'ENOENT'].includes(nativeCode(error) ?? '')));
  });
}
