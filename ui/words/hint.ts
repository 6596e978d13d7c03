/** Next steps in the words of the page: the API says them with its routes, and a person at the page has buttons and screens. */
import { sentence } from './text.ts';

const RULE = String.raw`PUT /api/v1/verification/rules/\S+ with `;

// biome-ignore format: a table reads best as a table
const STEPS: readonly (readonly [route: RegExp, step: (...words: string[]) => string])[] = [
  [/POST \/api\/v1\/trust\/anchors with authority "[^"]+", the fingerprint256 that POST \/api\/v1\/probe shows, and host "[^"]+"(?: and port \S+?)?(?=[;,)]|$)/g, () => 'press Trust this CA'],
  [/POST \/api\/v1\/trust\/anchors with cert_pem(?: and host "[^"]+"(?: and port \S+?)?)?(?=[;,)]|$)/g, () => 'add the CA under Trust'],
  [/GET \/api\/v1\/trust\/anchors/g, () => 'look under Trust'],
  [new RegExp(String.raw`${RULE}allow: \[([^\]]+)\] added to the rule`, 'g'), (codes = '') => `add a rule under Trust that allows ${codes}`],
  [new RegExp(String.raw`${RULE}server_name: (\S+) added to the rule`, 'g'), (name = '') => `add a rule under Trust with the server name ${name}`],
  [new RegExp(String.raw`${RULE}mode: report added to the rule`, 'g'), () => 'add a rule under Trust with the mode report'],
  [new RegExp(String.raw`${RULE}min_version: (\S+) added to the rule`, 'g'), (version = '') => `add a rule under Trust that takes ${version}`],
  [new RegExp(String.raw`${RULE}(\S+) in pins`, 'g'), (pin = '') => `add a rule under Trust with the pin ${pin}`],
  [/(?:PUT|GET) \/api\/v1\/verification/g, () => 'change it under Trust'],
  [/POST \/api\/v1\/probe(?: with authority "([^"]+)")?/g, (place = '') => (place === '' ? 'a probe' : `a probe of ${place}`)],
  [/GET \/api\/v1\/match(?:\?authority=\S+?)?(?=[;,) ]|$)/g, () => '"Which certificate would this URL get?" under Certificates'],
  [/POST \/api\/v1\/certificates\/\S+?\/renew(?:\?dry_run=true)?/g, () => 'renew it under Certificates'],
  [/POST \/api\/v1\/certificates(?: with host "[^"]+"(?: and port \S+?)?| with pfx_base64)?(?=[;,)]|$)/g, () => 'add a certificate under Certificates'],
  [/PATCH \/api\/v1\/certificates\/\S+ with enabled: true/g, () => 'enable it under Certificates'],
  [/(?:PATCH|GET) \/api\/v1\/certificates\/\S+?(?=[;,) ]|$)/g, () => 'open it under Certificates'],
  [/GET \/api\/v1\/certificates/g, () => 'look under Certificates'],
  [/GET \/ca\.pem has its certificate/g, () => 'Clients shows how'],
  [/GET \/api\/v1\/status/g, () => 'look at the top of this page'],
  [/GET \/api\/v1\/events/g, () => 'look at the Console'],
];

/** A hint of the API as a sentence of the page. */
export function pageHint(hint: string): string {
  if (!/\/api\/|\/ca\.pem/.test(hint)) return sentence(hint);
  return sentence(
    STEPS.reduce((text, [route, step]) => text.replace(route, (_all, ...words: string[]) => step(...words)), hint),
  );
}
