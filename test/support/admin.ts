/** The admin API as another program uses it; every answer is checked against the OpenAPI document. */
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import type { RunningDaemon } from './daemon.ts';

export interface Reply<T> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: T;
}

export interface Call {
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
}

/** RFC 9457, as far as tests look at it. */
export interface Refusal {
  readonly code: string;
  readonly detail: string;
  readonly hint: string;
  readonly problems?: readonly { code?: string; field?: string; message: string }[];
}

interface Operation {
  readonly operationId: string;
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, unknown>> }>>;
}

export interface OpenApi {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

export interface AdminClient {
  readonly document: OpenApi;
  /** Operations called, with the status that they answered. */
  readonly called: Map<string, Set<number>>;
  /** @throws Error where the answer is not what the document says */
  call<T>(method: string, path: string, options?: Call): Promise<Reply<T>>;
}

export async function adminClient(daemon: Pick<RunningDaemon, 'api'>): Promise<AdminClient> {
  const document = (await (await daemon.api('/openapi.json')).json()) as OpenApi;
  const ajv = new Ajv2020({ strict: false, allErrors: true, validateSchema: false });
  (addFormats as unknown as (ajv: Ajv2020) => void)(ajv);
  ajv.addSchema(document, 'openapi');
  const validators = new Map<string, ValidateFunction>();
  const called = new Map<string, Set<number>>();

  const find = (method: string, path: string): { template: string; operation: Operation } => {
    const [bare = ''] = path.split('?');
    const templates = Object.keys(document.paths).filter((template) =>
      new RegExp(`^${template.replaceAll('.', '\\.').replace(/\{[^}]+\}/g, '[^/]+')}$`).test(bare),
    );
    // The one without a parameter is meant where both fit.
    const template = templates.find((one) => !one.includes('{')) ?? templates[0];
    const operation = template === undefined ? undefined : document.paths[template]?.[method.toLowerCase()];
    if (template === undefined || !operation) throw new Error(`${method} ${bare} is not in the document`);
    return { template, operation };
  };

  const check = (method: string, path: string, response: Response, body: unknown): void => {
    const { template, operation } = find(method, path);
    const status = operation.responses[response.status] ? String(response.status) : 'default';
    const described = operation.responses[status];
    if (!described) throw new Error(`${operation.operationId} has no response ${response.status}`);
    const statuses = called.get(operation.operationId) ?? new Set();
    called.set(operation.operationId, statuses.add(response.status));
    if (response.status === 204) return;
    const type = (response.headers.get('content-type') ?? '').split(';')[0] ?? '';
    if (!described.content?.[type])
      throw new Error(
        `${operation.operationId} answered ${response.status} with ${type}, which is not in the document`,
      );
    if (!type.endsWith('json')) return;
    const escape = (part: string) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'));
    const pointer = ['paths', template, method.toLowerCase(), 'responses', status, 'content', type, 'schema'];
    const reference = `openapi#/${pointer.map(escape).join('/')}`;
    const validate = validators.get(reference) ?? ajv.compile({ $ref: reference });
    validators.set(reference, validate);
    if (!validate(body))
      throw new Error(
        `${operation.operationId} ${response.status}: ${ajv.errorsText(validate.errors)}\n${JSON.stringify(body)}`,
      );
  };

  return {
    document,
    called,
    async call<T>(method: string, path: string, { body, headers }: Call = {}): Promise<Reply<T>> {
      const response = await daemon.api(path, {
        method,
        headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
        ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      });
      const text = await response.text();
      const isJson = /json/.test(response.headers.get('content-type') ?? '');
      const answer: unknown = isJson && text !== '' ? JSON.parse(text) : text;
      check(method, path, response, answer);
      return { status: response.status, headers: response.headers, body: answer as T };
    },
  };
}
