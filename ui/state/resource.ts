/** What a component shows of the API: read when it appears, and again when the store changes. */
import { useEffect, useState } from 'preact/hooks';
import { type ApiFailure, call, type CallOptions, type Operation, type Reply } from '../api/client.ts';
import { link, storeVersion } from './link.ts';

export type Resource<O extends Operation> =
  | { readonly state: 'loading' }
  | { readonly state: 'failed'; readonly failure: ApiFailure }
  | ({ readonly state: 'ready' } & Reply<O>);

/** @param options null: nothing to read yet */
export function useResource<O extends Operation>(operation: O, options: CallOptions<O> | null): Resource<O> {
  const [resource, setResource] = useState<Resource<O>>({ state: 'loading' });
  const key = options === null ? null : JSON.stringify(options);
  const store = storeVersion.value;
  const isLive = link.value === 'live';
  useEffect(() => {
    if (key === null || !isLive) return;
    let current = true;
    call(operation, JSON.parse(key) as CallOptions<O>).then(
      (reply) => current && setResource({ state: 'ready', ...reply }),
      (failure: ApiFailure) => current && setResource({ state: 'failed', failure }),
    );
    return () => {
      current = false;
    };
  }, [operation, key, store, isLive]);
  return resource;
}
