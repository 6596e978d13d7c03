import { useEffect } from 'preact/hooks';
import { Banners } from './components/banners.tsx';
import { Icon } from './components/icon.tsx';
import { Toasts } from './components/toasts.tsx';
import { Dialogs } from './dialogs/dialogs.tsx';
import { openDialog } from './state/dialogs.ts';
import { hotkeys } from './state/hotkeys.ts';
import { link, signOut, status } from './state/link.ts';
import { go, hrefOf, screen, SCREENS, type Screen } from './state/router.ts';
import { Certificates } from './screens/certificates/certificates.tsx';
import { Clients } from './screens/clients/clients.tsx';
import { Console } from './screens/console/console.tsx';
import { SignIn } from './screens/sign-in.tsx';
import { Trust } from './screens/trust/trust.tsx';

const TITLES: Readonly<Record<Screen, string>> = {
  console: 'Console',
  certificates: 'Certificates',
  trust: 'Trust',
  clients: 'Clients',
};
const VIEWS = { console: Console, certificates: Certificates, trust: Trust, clients: Clients };

export function App() {
  const View = VIEWS[screen.value];
  useEffect(
    () =>
      hotkeys({
        '?': () => openDialog({ kind: 'help' }),
        ...Object.fromEntries(SCREENS.map((to, index) => [String(index + 1), () => go(to)])),
      }),
    [],
  );
  useEffect(() => {
    document.title = `${TITLES[screen.value]} · mtlsd`;
  }, [screen.value]);
  // Signed out before anything was seen: there is nothing to show behind the form.
  if (link.value === 'signed-out' && status.value === null) return <SignIn />;
  return (
    <div class="app" onClick={followLink}>
      <Header />
      <Banners />
      <View />
      {link.value === 'signed-out' && <SignIn />}
      <Dialogs />
      <Toasts />
    </div>
  );
}

function Header() {
  return (
    <header class="top">
      <a class="brand" href="/" aria-label="mtlsd, to the console">
        <svg viewBox="0 0 32 32" width="20" height="20" aria-hidden="true">
          <rect width="32" height="32" rx="7" />
          <path d="M8 12h12l-4-4M24 20H12l4 4" />
        </svg>
        mtlsd
      </a>
      <nav aria-label="Screens">
        {SCREENS.map((to) => (
          <a key={to} href={hrefOf(to)} aria-current={screen.value === to ? 'page' : undefined}>
            {TITLES[to]}
          </a>
        ))}
      </nav>
      <span class="spacer" />
      <LinkState />
      <button
        type="button"
        class="bare"
        aria-label="help and keys"
        title="Help (?)"
        onClick={() => openDialog({ kind: 'help' })}
      >
        <Icon name="help" />
      </button>
      <button type="button" class="bare" aria-label="sign out" title="Sign out" onClick={() => void signOut()}>
        <Icon name="out" />
      </button>
    </header>
  );
}

const LINK_WORDS = {
  connecting: 'connecting',
  live: 'live',
  down: 'daemon is away',
  'signed-out': 'signed out',
} as const;

function LinkState() {
  const [proxy] = status.value?.proxy ?? [];
  const state = link.value;
  return (
    <span class={`link ${state}`} role="status">
      <span class="dot" /> {LINK_WORDS[state]}
      {state === 'live' && proxy !== undefined && <span class="muted wide-only"> · proxy {proxy}</span>}
    </span>
  );
}

/** Links of the page itself change the address without loading it again. */
function followLink(event: MouseEvent): void {
  const anchor = event.target instanceof Element ? event.target.closest('a') : null;
  if (!anchor || event.defaultPrevented || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey)
    return;
  if (anchor.origin !== location.origin || anchor.pathname !== '/' || anchor.hasAttribute('download')) return;
  event.preventDefault();
  const changes = Object.fromEntries(anchor.search === '' ? [] : new URLSearchParams(anchor.search));
  const to = SCREENS.find((each) => each === changes.screen) ?? 'console';
  go(to, changes);
}
