import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import type { RuleFields, VerificationFields } from '../../../certs/store/schema.ts';
import { withAnyApi } from '../../api/any.ts';
import type { Api } from '../../api/api.ts';
import { usage } from '../../errors.ts';
import { print, printJson } from '../../output.ts';
import { broaderRule, ruleAt, rulePath } from '../../rules.ts';
import { parsePattern } from '../../target.ts';
import { ruleText } from '../../words/rule.ts';

interface Options {
  readonly home?: string;
  readonly host?: string;
  readonly allow?: readonly string[];
  readonly allowOnly?: readonly string[];
  readonly pin?: readonly string[];
  readonly ca?: readonly string[];
  readonly system?: boolean;
  readonly minVersion?: RuleFields['min_version'];
  readonly maxVersion?: RuleFields['max_version'];
  readonly serverName?: string;
  readonly revocation?: RuleFields['revocation'];
  readonly json?: boolean;
}

export function verificationSetCommand(): Command {
  return new Command('set')
    .description('Sets the mode for all hosts, or the rule of one. What is given is set, the rest of the rule stays.')
    .argument('[mode]', 'enforce, or report: check, record every problem, let it through')
    .option('--host <host>', 'for HOST, HOST:PORT or HOST:* only; "*.SUFFIX" too (port 443 when left out)')
    .option('--allow <code...>', 'let these problems through as well; all others are enforced')
    .option('--allow-only <code...>', 'let these problems through and no others')
    .option('--pin <pin...>', 'public keys; the chain must contain one of them: sha256/BASE64=')
    .option('--ca <file...>', 'trust these CA certificates for this host')
    .option('--no-system', "don't trust the system's CAs for this host")
    .addOption(
      new Option('--min-version <version>', 'the oldest TLS version to agree to').choices([
        'TLSv1',
        'TLSv1.1',
        'TLSv1.2',
        'TLSv1.3',
      ]),
    )
    .addOption(new Option('--max-version <version>', 'the newest TLS version to offer').choices(['TLSv1.2', 'TLSv1.3']))
    .option('--server-name <name>', 'the name to send as SNI and to verify')
    .addOption(
      new Option(
        '--revocation <mode>',
        'whether a certificate must not be revoked, or must be known to be good',
      ).choices(['off', 'when-known', 'required']),
    )
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      `
Examples:
  mtlsd verification set report --host dev.corp.example
  mtlsd verification set --host old.partner.example --allow CERT_HAS_EXPIRED
  mtlsd verification set --host old.partner.example --ca partner-root.pem --no-system
  mtlsd verification set --revocation required
  mtlsd verification set enforce`,
    )
    .action(async (mode: string | undefined, _options, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      if (mode !== undefined && mode !== 'enforce' && mode !== 'report')
        throw usage(`invalid mode ${JSON.stringify(mode)}`, 'give enforce or report');
      await withAnyApi(options.home, (api) =>
        options.host === undefined ? setMode(api, mode, options) : setRule(api, options.host, mode, options),
      );
    });
}

async function setMode(api: Api, mode: 'enforce' | 'report' | undefined, options: Options): Promise<void> {
  const { revocation, ...perHost } = ruleFields(options);
  const fields = { ...(mode && { mode }), ...(revocation && { revocation }) };
  if (Object.keys(fields).length === 0 || Object.keys(perHost).length > 0)
    throw usage(
      Object.keys(perHost).length === 0 ? 'no mode is given' : 'that can be set for a host only',
      'give --host HOST',
    );
  const { body, headers } = await api.call<VerificationFields>('GET', '/api/v1/verification');
  const changed = await api.call<VerificationFields>('PUT', '/api/v1/verification', {
    body: { ...body, ...fields },
    headers: { 'if-match': String(headers.etag) },
  });
  if (options.json) printJson(changed.body);
  else
    print(
      `verification is now ${[mode, revocation && `revocation ${revocation}`].filter(Boolean).join(', ')}${(body.rules ?? []).length > 0 ? '; the rules by host stay' : ''}`,
    );
}

async function setRule(api: Api, host: string, mode: RuleFields['mode'], options: Options): Promise<void> {
  const given = ruleFields(options);
  if (Object.keys(given).length === 0 && mode === undefined)
    throw usage('nothing to set is given', 'give a mode, or one of the options');
  const pattern = parsePattern(host);
  const before = await ruleAt(api, pattern);
  // A new rule replaces the broader one for this host, so it starts from a copy of it.
  const broader = before ? null : await broaderRule(api, pattern);
  const { host: _host, port: _port, ...rest } = before?.rule ?? broader ?? { host };
  const allow = allowed(options, rest.allow ?? []);
  // Its CRLs stay where its CAs change.
  const trust = given.trust && { trust: { ...rest.trust, ...given.trust } };
  const { body } = await api.call<RuleFields>('PUT', rulePath(pattern), {
    body: { ...rest, ...given, ...trust, ...(allow && { allow }), ...(mode && { mode }) },
    headers: before ? { 'if-match': before.etag } : { 'if-none-match': '*' },
  });
  if (options.json) printJson(body);
  else {
    const from = broader ? `, starting from the one for ${broader.host}` : '';
    print(`${before ? 'changed' : 'added'} the rule${from}\n${ruleText(body)}`);
  }
}

function allowed({ allow, allowOnly }: Options, before: readonly string[]): string[] | null {
  if (allow === undefined && allowOnly === undefined) return null;
  return [...new Set([...(allowOnly ?? before), ...(allow ?? [])])];
}

function ruleFields({
  allow,
  allowOnly,
  pin,
  ca,
  system,
  minVersion,
  maxVersion,
  serverName,
  revocation,
}: Options): Partial<RuleFields> {
  return {
    ...((allow ?? allowOnly) && { allow: [] }),
    ...(pin && { pins: [...pin] }),
    ...((ca ?? system === false) && { trust: { system: system ?? true, ca: (ca ?? []).map((file) => resolve(file)) } }),
    ...(minVersion && { min_version: minVersion }),
    ...(maxVersion && { max_version: maxVersion }),
    ...(revocation && { revocation }),
    ...(serverName !== undefined && { server_name: serverName }),
  };
}
