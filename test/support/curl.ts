/** curl as users run it, through the daemon. */
import { spawn } from 'node:child_process';

export interface CurlResult {
  /** curl's own exit code: 0, or 56 for a proxy that refused CONNECT, … */
  readonly exit: number | null;
  readonly status: number;
  /** Lower-case names; the last response's. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly stderr: string;
  json<T>(): T;
}

/** @param args before the URL; `--proxy` and `--cacert` for the usual */
export async function curl(url: string, args: readonly string[]): Promise<CurlResult> {
  const child = spawn('curl', [
    '--silent',
    '--show-error',
    '--noproxy',
    '',
    '--include',
    '--suppress-connect-headers',
    '--max-time',
    '60',
    ...args,
    url,
  ]);
  const out: Buffer[] = [];
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const exit = await new Promise<number | null>((resolve) => child.on('close', resolve));
  const text = Buffer.concat(out).toString('latin1');
  let rest = text;
  let head = '';
  // 1xx responses come in front of the last one.
  while (/^HTTP\/[\d.]+ /.test(rest)) {
    const end = rest.indexOf('\r\n\r\n');
    head = rest.slice(0, end);
    rest = rest.slice(end + 4);
    if (!/^HTTP\/[\d.]+ 1\d\d/.test(head)) break;
  }
  const body = Buffer.from(rest, 'latin1').toString('utf8');
  const [statusLine = '', ...lines] = head.split('\r\n');
  const headers = Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
  );
  return {
    exit,
    status: Number(statusLine.split(' ')[1] ?? 0),
    headers,
    body,
    stderr,
    json: <T>() => JSON.parse(body) as T,
  };
}

/** The options that every use of the daemon needs. */
export const through = (daemon: { proxy: string; caFile: string }): string[] => [
  '--proxy',
  daemon.proxy,
  '--cacert',
  daemon.caFile,
];
