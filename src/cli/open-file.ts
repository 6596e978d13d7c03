/** Opens a file as a double click does. */
import { spawn } from 'node:child_process';
import { findProgram } from './programs.ts';

/** @returns false where there is no program for it, or no screen */
export async function openFile(file: string, env: NodeJS.ProcessEnv): Promise<boolean> {
  const program = process.platform === 'darwin' ? 'open' : 'xdg-open';
  // Without a screen xdg-open starts a text browser in this terminal.
  if (process.platform !== 'darwin' && !env.DISPLAY && !env.WAYLAND_DISPLAY) return false;
  const path = await findProgram(program);
  if (path === null) return false;
  const child = spawn(path, [file], { stdio: 'ignore', detached: true });
  return new Promise((resolve) => {
    child.on('error', () => resolve(false));
    child.on('spawn', () => {
      child.unref();
      resolve(true);
    });
  });
}
