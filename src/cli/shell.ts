/** Lines that set variables, for the shells that people use. */
export const SHELLS = ['sh', 'fish', 'powershell'] as const;
export type Shell = (typeof SHELLS)[number];

export function exportLine(shell: Shell, name: string, value: string): string {
  switch (shell) {
    case 'sh':
      return `export ${name}=${quoteSh(value)}`;
    case 'fish':
      return `set -gx ${name} ${quoteFish(value)}`;
    case 'powershell':
    default:
      return `$env:${name} = ${quotePowershell(value)}`;
  }
}

/** POSIX: nothing is special within single quotes but their end. */
function quoteSh(value: string): string {
  return /^[A-Za-z0-9_./:@%+=,-]+$/.test(value) ? value : `'${value.replaceAll("'", "'\\''")}'`;
}

/** fish: backslash escapes itself and the quote. */
function quoteFish(value: string): string {
  return `'${value.replace(/[\\']/g, '\\$&')}'`;
}

/** PowerShell: a quote is doubled. */
function quotePowershell(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}

/** By the user's own shell, where nothing is said. */
export function usualShell(env: NodeJS.ProcessEnv, platform = process.platform): Shell {
  if (env.SHELL?.endsWith('/fish')) return 'fish';
  return env.SHELL === undefined && platform === 'win32' ? 'powershell' : 'sh';
}
