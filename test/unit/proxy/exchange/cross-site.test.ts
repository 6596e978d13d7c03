import { expect, test } from 'vitest';
import { parseAuthority } from '../../../../src/core/authority.ts';
import { crossSiteAction, foreignPage } from '../../../../src/proxy/exchange/cross-site.ts';

const authority = parseAuthority('api.example:443');
const NOTHING = { site: undefined, mode: undefined, dest: undefined, origin: undefined };
const evil = 'https://evil.test';

test.each([
  ['a program', 'GET', null, {}, null],
  ['a program with an Origin', 'GET', null, { origin: evil }, null],
  ["the page's own fetch", 'POST', null, { site: 'same-origin', mode: 'cors', dest: 'empty' }, null],
  ['a page of the same site', 'GET', null, { site: 'same-site', mode: 'cors', origin: 'https://app.example' }, null],
  [
    'a fetch of another site',
    'GET',
    null,
    { site: 'cross-site', mode: 'cors', dest: 'empty', origin: evil },
    { origin: evil },
  ],
  ['an image of another site', 'GET', null, { site: 'cross-site', mode: 'no-cors', dest: 'image' }, { origin: null }],
  ['a frame of another site', 'GET', null, { site: 'cross-site', mode: 'navigate', dest: 'iframe' }, { origin: null }],
  ['a link that the user clicks', 'GET', null, { site: 'cross-site', mode: 'navigate', dest: 'document' }, null],
  [
    'a form that posts',
    'POST',
    null,
    { site: 'cross-site', mode: 'navigate', dest: 'document', origin: evil },
    { origin: evil },
  ],
  ['a typed address', 'GET', null, { site: 'none', mode: 'navigate', dest: 'document' }, null],
  ['a WebSocket of another site', 'GET', 'websocket', { origin: evil }, { origin: evil }],
  ['a WebSocket of no site', 'GET', 'websocket', { origin: 'null' }, { origin: 'null' }],
  ['a WebSocket of its own page', 'GET', 'websocket', { origin: 'https://api.example' }, null],
  [
    'a WebSocket of its own host in the clear',
    'GET',
    'websocket',
    { origin: 'http://api.example' },
    { origin: 'http://api.example' },
  ],
  ['a WebSocket of a program', 'GET', 'websocket', {}, null],
] as const)('%s', (_name, method, tunnel, browser, page) => {
  expect(foreignPage({ ...NOTHING, ...browser }, { method, tunnel, authority })).toEqual(page);
});

test('a list allows the origins that it names and withholds from all others', () => {
  const list = ['http://localhost:3000'];
  expect(crossSiteAction(list, { origin: 'http://localhost:3000' })).toBe('allow');
  expect(crossSiteAction(list, { origin: evil })).toBe('withhold');
  expect(crossSiteAction(list, { origin: null })).toBe('withhold');
  expect(crossSiteAction('refuse', { origin: evil })).toBe('refuse');
});
