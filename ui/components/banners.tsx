import { link, status, verificationOff } from '../state/link.ts';
import { hrefOf } from '../state/router.ts';
import { Icon } from './icon.tsx';

/** States that last: the daemon does not answer, the store has a mistake, verification is off. */
export function Banners() {
  const rejected = status.value?.store.rejected ?? null;
  const off = verificationOff.value;
  return (
    <div class="banners">
      {link.value === 'down' && (
        <p class="banner warn" role="alert">
          <Icon name="warn" /> The daemon does not answer. This page reconnects when the daemon is back.
        </p>
      )}
      {rejected && (
        <div class="banner bad" role="alert">
          <Icon name="bad" />
          <div>
            {status.value?.store.file} has a mistake; the last good store stays in force.
            {rejected.problems.map(({ line, column, message, expected }) => (
              <p key={`${line}:${column}`}>
                line {line}, column {column}: {message}; expected {expected}
              </p>
            ))}
          </div>
        </div>
      )}
      {off !== null && (
        <p class="banner bad" role="alert">
          <Icon name="bad" />
          <span>
            Verification is off for every server: {off}. Anyone on the network path can pose as any server.{' '}
            <a href={hrefOf('trust')}>Turn it on</a>
          </span>
        </p>
      )}
    </div>
  );
}
