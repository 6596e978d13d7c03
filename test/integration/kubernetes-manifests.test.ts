import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Deployment } from 'kubernetes-models/apps/v1/Deployment';
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1/NetworkPolicy';
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1/PodDisruptionBudget';
import { ConfigMap } from 'kubernetes-models/v1/ConfigMap';
import { Secret } from 'kubernetes-models/v1/Secret';
import { Service } from 'kubernetes-models/v1/Service';
import { afterAll, describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { validatorFor } from '../../src/core/validate.ts';
import { SettingsFile } from '../../src/settings/schema.ts';

const MODELS = {
  Deployment: ['apps/v1', Deployment],
  NetworkPolicy: ['networking.k8s.io/v1', NetworkPolicy],
  PodDisruptionBudget: ['policy/v1', PodDisruptionBudget],
  ConfigMap: ['v1', ConfigMap],
  Secret: ['v1', Secret],
  Service: ['v1', Service],
} as const;

type Kind = keyof typeof MODELS;
interface Resource {
  readonly apiVersion: string;
  readonly kind: Kind;
  readonly metadata: { readonly name: string };
}

const read = (name: string): Resource[] =>
  parseAllDocuments(readFileSync(new URL(`../../deploy/kubernetes/${name}.yaml`, import.meta.url), 'utf8')).map(
    (document) => document.toJS() as Resource,
  );

// Where imports of kubernetes-models resolve.
mkdirSync('node_modules/.cache', { recursive: true });
const scratch = mkdtempSync('node_modules/.cache/manifests-');
afterAll(() => rmSync(scratch, { recursive: true }));

/** Fields that the API does not have are mistakes of its types; the API server would drop them without a word. */
function typeMistakes(resources: readonly Resource[]): string {
  const lines = resources.map(({ kind, ...rest }, i) => {
    const model = `import('kubernetes-models/${MODELS[kind][0]}/${kind}').I${kind}`;
    return `export const resource${i}: ${model} = ${JSON.stringify({ kind, ...rest })};`;
  });
  const file = join(scratch, 'manifests.ts');
  writeFileSync(file, lines.join('\n'));
  const args = [
    '--noEmit',
    '--strict',
    '--skipLibCheck',
    '--module',
    'nodenext',
    '--types',
    '',
    '--ignoreConfig',
    file,
  ];
  return spawnSync('node_modules/.bin/tsc', args, { encoding: 'utf8' }).stdout;
}

describe.each(['sidecar', 'gateway'])('deploy/kubernetes/%s.yaml', (name) => {
  const resources = read(name);

  test('is what the Kubernetes API takes, with no field that it would drop', () => {
    for (const resource of resources) {
      const [apiVersion, Model] = MODELS[resource.kind];
      expect(resource.apiVersion).toBe(apiVersion);
      new Model(resource).validate();
    }
    expect(typeMistakes(resources)).toBe('');
    const wrong = JSON.parse(JSON.stringify(resources).replace('"runAsNonRoot"', '"runAsNonRooot"')) as Resource[];
    expect(typeMistakes(wrong)).toMatch(/runAsNonRooot.* does not exist/);
  });

  test('names only what is there', () => {
    const text = JSON.stringify(resources);
    const named = [...text.matchAll(/"secretName":"([^"]+)"|"configMap":\{"name":"([^"]+)"/g)].map(
      (match) => match[1] ?? match[2],
    );
    const there = resources
      .filter(({ kind }) => kind === 'Secret' || kind === 'ConfigMap')
      .map((one) => one.metadata.name);
    expect(there).toEqual(expect.arrayContaining(named));
    const { spec } = resources.find(({ kind }) => kind === 'Deployment') as unknown as {
      spec: {
        template: { spec: { volumes: { name: string }[]; containers: Container[]; initContainers?: Container[] } };
      };
    };
    const pod = spec.template.spec;
    const volumes = pod.volumes.map((volume) => volume.name);
    for (const { volumeMounts } of [...pod.containers, ...(pod.initContainers ?? [])])
      expect(volumes).toEqual(expect.arrayContaining(volumeMounts.map((mount) => mount.name)));
  });

  test('gives every container no more than it needs', () => {
    const deployment = resources.find(({ kind }) => kind === 'Deployment') as unknown as {
      spec: { replicas: number; template: { spec: Pod } };
    };
    const pod = deployment.spec.template.spec;
    expect(deployment.spec.replicas).toBeGreaterThanOrEqual(2);
    expect(pod).toMatchObject({
      automountServiceAccountToken: false,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: 1000,
        fsGroup: 1000,
        seccompProfile: { type: 'RuntimeDefault' },
      },
    });
    for (const container of [...pod.containers, ...(pod.initContainers ?? [])])
      expect(container).toMatchObject({
        securityContext: {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        },
        resources: {
          requests: { cpu: expect.any(String), memory: expect.any(String) },
          limits: { memory: expect.any(String) },
        },
      });
    for (const { secret } of pod.volumes) if (secret) expect(secret.defaultMode).toBe(0o400);
  });

  test('holds settings that the daemon takes', () => {
    const settings = resources.flatMap((one) => {
      const data = (one as { data?: Record<string, string> }).data?.['mtlsd.yaml'];
      return data === undefined ? [] : [data];
    });
    expect(settings).toHaveLength(1);
    for (const text of settings) expect([...validatorFor(SettingsFile)(parse(text))]).toEqual([]);
  });
});

interface Container {
  readonly volumeMounts: readonly { readonly name: string }[];
}
interface Pod {
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly volumes: readonly { readonly secret?: { readonly defaultMode: number } }[];
}

test('the sidecar is a native one that the application waits for; the gateway requires a password', () => {
  const podOf = (name: string) =>
    (read(name).find(({ kind }) => kind === 'Deployment') as unknown as { spec: { template: { spec: unknown } } }).spec
      .template.spec;
  expect(podOf('sidecar')).toMatchObject({
    initContainers: [{ restartPolicy: 'Always', startupProbe: { exec: { command: ['mtlsd', 'health'] } } }],
  });
  const kinds = read('gateway').map(({ kind }) => kind);
  expect(kinds).toEqual(expect.arrayContaining(['Service', 'PodDisruptionBudget', 'NetworkPolicy']));
  expect(read('gateway').find(({ kind }) => kind === 'NetworkPolicy')).toMatchObject({
    spec: { policyTypes: ['Ingress', 'Egress'] },
  });
});
