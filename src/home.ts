/** Where settings, certificates and the local CA are. By itself, since every command asks and few need the settings. */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

export function homeDirectory(flag: string | undefined, env: NodeJS.ProcessEnv): string {
  if (flag) return resolve(flag);
  if (env.MTLSD_HOME) return resolve(env.MTLSD_HOME);
  return env.XDG_CONFIG_HOME ? join(env.XDG_CONFIG_HOME, 'mtlsd') : join(homedir(), '.config', 'mtlsd');
}
