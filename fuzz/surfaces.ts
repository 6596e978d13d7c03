import type { Surface } from './surface.ts';
import { api } from './surfaces/api.ts';
import { authority } from './surfaces/authority.ts';
import { certificatesYaml } from './surfaces/certificates-yaml.ts';
import { clientHello } from './surfaces/client-hello.ts';
import { der } from './surfaces/der.ts';
import { http1 } from './surfaces/http1.ts';
import { pem } from './surfaces/pem.ts';
import { pfx } from './surfaces/pfx.ts';
import { settingsYaml } from './surfaces/settings-yaml.ts';
import { tlsFlight } from './surfaces/tls-flight.ts';
import { wireClientHello, wireH1Client, wireH2Client, wireProxy, wireSocks } from './surfaces/wire-clients.ts';
import { wireH1Origin, wireH2Origin, wireUpstreamProxy } from './surfaces/wire-peers.ts';

export const SURFACES: readonly Surface[] = [
  pem,
  der,
  pfx,
  certificatesYaml,
  settingsYaml,
  authority,
  clientHello,
  tlsFlight,
  http1,
  api,
  wireProxy,
  wireSocks,
  wireClientHello,
  wireH1Client,
  wireH2Client,
  wireH1Origin,
  wireH2Origin,
  wireUpstreamProxy,
];
