import { Command, InvalidArgumentError } from 'commander';
import { homeDirectory } from '../../home.ts';
import { fits, hasFailed } from '../../inspect/records/filter.ts';
import type { ExchangeRecord } from '../../inspect/records/types.ts';
import { daemonApi, withDaemon } from '../api/daemon.ts';
import { CliError } from '../errors.ts';
import { EventParser, type StreamEvent } from '../../core/event-stream.ts';
import { print } from '../output.ts';
import { exchangeLine } from '../words/record.ts';
import { showRecord } from './show.ts';

interface Options {
  readonly home?: string;
  readonly failed?: boolean;
  readonly host?: string;
  readonly certificate?: string;
  readonly lines: number;
  readonly follow: boolean;
  readonly id?: string;
  readonly json?: boolean;
}

export function tailCommand(): Command {
  return new Command('tail')
    .description(
      'Exchanges as they come, a line each: time, method, authority and path, status, milliseconds, certificate, verdict.',
    )
    .option('--failed', 'only those with an error or a status of 500 and above')
    .option('--host <host>', 'only those with this authority, with or without its port')
    .option('--certificate <name>', 'only those that this certificate was chosen for')
    .option('-n, --lines <count>', 'begin with so many of the recent ones', wholeNumber, 10)
    .option('--no-follow', 'end after the recent ones')
    .option('--id <id>', 'everything about this exchange or connection, and end; the same as mtlsd show')
    .option('--json', 'a record in JSON a line')
    .addHelpText(
      'after',
      '\nExamples:\n  mtlsd tail --failed\n  mtlsd tail --host api.partner.example --json | jq .error\n  mtlsd tail --no-follow -n 100',
    )
    .action(async (_options, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const home = homeDirectory(options.home, process.env);
      const { id, json = false } = options;
      if (id !== undefined) await withDaemon(home, (api) => showRecord(api, id, { json }));
      else await tail(home, options);
    });
}

async function tail(home: string, options: Options): Promise<void> {
  const api = await daemonApi(home);
  const query = new URLSearchParams({
    ...(options.failed && { failed: 'true' }),
    ...(options.host !== undefined && { host: options.host }),
    ...(options.certificate !== undefined && { certificate: options.certificate }),
    limit: String(Math.max(1, options.lines)),
  });
  // The stream opens first, so that no record is missed in between; its id shows which record comes twice.
  const stream = options.follow ? await api.open('GET', '/api/v1/events') : null;
  if (stream && stream.statusCode !== 200)
    throw new CliError(`the daemon answered ${stream.statusCode}`, 'mtlsd doctor');
  const { body } = await api.call<{ exchanges: ExchangeRecord[] }>('GET', `/api/v1/exchanges?${query.toString()}`);
  const recent = options.lines === 0 ? [] : body.exchanges.toReversed();
  const shown = new Set(recent.map(({ exchange }) => exchange));
  for (const record of recent) write(record, options);
  if (!stream) return;
  const parser = new EventParser();
  try {
    for await (const piece of stream.setEncoding('utf8')) {
      for (const event of parser.push(piece as string)) {
        if (event.event === 'lost')
          process.stderr.write(`${lostCount(event)} events came faster than they could be shown\n`);
        if (event.event !== 'exchange') continue;
        const record = JSON.parse(event.data) as ExchangeRecord;
        if (!shown.delete(record.exchange) && fits(record, hasFailed(record), options)) write(record, options);
      }
    }
  } catch {
    // Ended by the other side.
  }
  throw new CliError('the daemon ended', 'mtlsd status shows whether it is back');
}

function lostCount({ data }: StreamEvent): number {
  return (JSON.parse(data) as { count: number }).count;
}

function write(record: ExchangeRecord, { json }: Options): void {
  print(json ? JSON.stringify(record) : exchangeLine(record));
}

function wholeNumber(text: string): number {
  if (!/^\d{1,4}$/.test(text)) throw new InvalidArgumentError('expected a number from 0 to 9999');
  return Number(text);
}
