/** Every command with its line in the help, and how to load it. */
import type { CommandEntry } from './command-tree.ts';

export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'start',
    summary: 'run the daemon in the foreground',
    load: async () => (await import('./commands/start.ts')).startCommand(),
  },
  {
    name: 'status',
    summary: 'the state of the daemon on one screen',
    load: async () => (await import('./commands/status.ts')).statusCommand(),
  },
  {
    name: 'health',
    summary: 'whether the daemon takes connections, for health checks',
    load: async () => (await import('./commands/health.ts')).healthCommand(),
  },
  {
    name: 'demo',
    summary: 'a daemon, an origin that demands a client certificate, and a request between them',
    load: async () => (await import('./commands/demo.ts')).demoCommand(),
  },
  {
    name: 'cert',
    summary: 'client certificates: list, show, add, set, remove, enable, disable, inspect, renew, enroll',
    load: async () => (await import('./commands/cert.ts')).certCommand(),
  },
  {
    name: 'verification',
    summary: 'how servers are verified, in all and by host',
    load: async () => (await import('./commands/verification.ts')).verificationCommand(),
  },
  {
    name: 'trust',
    summary: 'which CAs are trusted: list, add, remove',
    load: async () => (await import('./commands/trust.ts')).trustCommand(),
  },
  {
    name: 'match',
    summary: 'what a request for a URL would get, and why',
    load: async () => (await import('./commands/match.ts')).matchCommand(),
  },
  {
    name: 'probe',
    summary: 'look closely at a server: what it offers, requires and refuses',
    load: async () => (await import('./commands/probe.ts')).probeCommand(),
  },
  {
    name: 'tail',
    summary: 'watch exchanges as they come',
    load: async () => (await import('./commands/tail.ts')).tailCommand(),
  },
  {
    name: 'show',
    summary: 'everything about one exchange or connection',
    load: async () => (await import('./commands/show.ts')).showCommand(),
  },
  {
    name: 'har',
    summary: 'the exchanges that are remembered as an HTTP archive',
    load: async () => (await import('./commands/har.ts')).harCommand(),
  },
  {
    name: 'ui',
    summary: 'open the web page, signed in',
    load: async () => (await import('./commands/ui.ts')).uiCommand(),
  },
  {
    name: 'run',
    summary: 'run a program with the proxy and trust settings that it reads',
    load: async () => (await import('./commands/run.ts')).runCommand(),
  },
  {
    name: 'env',
    summary: 'the same settings as lines for a shell',
    load: async () => (await import('./commands/env.ts')).envCommand(),
  },
  {
    name: 'ca',
    summary: 'the local CA: path, show, export, install, uninstall, rotate',
    load: async () => (await import('./commands/ca.ts')).caCommand(),
  },
  {
    name: 'doctor',
    summary: 'check this installation and the clients on this machine',
    load: async () => (await import('./commands/doctor.ts')).doctorCommand(),
  },
  {
    name: 'completion',
    summary: 'completion for bash, zsh or fish',
    load: async () => (await import('./commands/completion.ts')).completionCommand(COMMANDS),
  },
];
