/** Completion for three shells, out of one plain tree of commands. */

export interface Node {
  /** `['cert', 'add']` */
  readonly path: readonly string[];
  readonly summary: string;
  readonly options: readonly {
    readonly flags: readonly string[];
    readonly description: string;
    readonly choices: readonly string[];
    readonly takesValue: boolean;
    readonly file: boolean;
  }[];
  readonly subcommands: readonly string[];
  /** Of the first argument. */
  readonly choices: readonly string[];
  /** Whether it takes the name of a certificate. */
  readonly names: boolean;
}

const GLOBAL = ['--home', '--help', '--version'];
const NAMES = 'mtlsd cert list --quiet 2>/dev/null';

export function bashCompletion(nodes: readonly Node[]): string {
  const top = nodes.filter(({ path }) => path.length === 1).map(({ path }) => path[0]);
  const cases = nodes.map(({ path, options, subcommands, choices, names }) => {
    const words = [...subcommands, ...choices, ...options.flatMap(({ flags }) => flags), '--help'].join(' ');
    const certificates = names ? ` $(${NAMES})` : '';
    return `    '${path.join(' ')}') words="${words}${certificates}" ;;`;
  });
  const values = nodes.flatMap(({ path, options }) =>
    options
      .filter(({ takesValue }) => takesValue)
      .map(({ flags, choices, file }) => {
        const pattern = flags.map((flag) => `'${path.join(' ')} ${flag}'`).join('|');
        if (choices.length > 0)
          return `    ${pattern}) COMPREPLY=($(compgen -W "${choices.join(' ')}" -- "$current")); return ;;`;
        return file
          ? `    ${pattern}) COMPREPLY=($(compgen -f -- "$current")); return ;;`
          : `    ${pattern}) return ;;`;
      }),
  );
  return `# bash completion of mtlsd
_mtlsd() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" path="" words="" word skip=""
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    if [ -n "$skip" ]; then skip=""; continue; fi
    case "$word" in
      --home) skip=1 ;;
      --) COMPREPLY=($(compgen -c -- "$current")); return ;;
      -*) ;;
      *) case "$path" in ''|cert|verification|ca) path="\${path:+$path }$word" ;; esac ;;
    esac
  done
  case "$path $previous" in
${values.join('\n')}
    *' --home') COMPREPLY=($(compgen -d -- "$current")); return ;;
  esac
  case "$path" in
    '') words="${[...top, 'help', ...GLOBAL].join(' ')}" ;;
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  if [ \${#COMPREPLY[@]} -eq 0 ]; then COMPREPLY=($(compgen -f -- "$current")); fi
}
complete -o filenames -F _mtlsd mtlsd
`;
}

export function zshCompletion(nodes: readonly Node[]): string {
  const described = (items: readonly (readonly [string, string])[]) =>
    items.map(([name, summary]) => `'${zshText(name)}:${zshText(summary)}'`).join(' ');
  const top = nodes.filter(({ path }) => path.length === 1);
  const cases = nodes.map(({ path, options, choices, names }) => {
    const subs = nodes.filter((node) => node.path.length === 2 && path.length === 1 && node.path[0] === path[0]);
    const words = [
      ...subs.map((node) => [node.path[1] ?? '', node.summary] as const),
      ...choices.map((choice) => [choice, ''] as const),
      ...options.flatMap(({ flags, description }) => flags.map((flag) => [flag, description] as const)),
      ['--help', 'show help'] as const,
    ];
    return `    '${path.join(' ')}') words_here=(${described(words)})${names ? `; compadd -- \${(f)"$(${NAMES})"}` : ''} ;;`;
  });
  const values = nodes.flatMap(({ path, options }) =>
    options
      .filter(({ takesValue }) => takesValue)
      .map(({ flags, choices, file }) => {
        const pattern = flags.map((flag) => `'${path.join(' ')} ${flag}'`).join('|');
        return `    ${pattern}) ${choices.length > 0 ? `compadd -- ${choices.join(' ')}` : file ? '_files' : ':'}; return ;;`;
      }),
  );
  return `#compdef mtlsd
# zsh completion of mtlsd
_mtlsd() {
  local at="" word
  local -i i
  local -a words_here
  for (( i = 2; i < CURRENT; i++ )); do
    word="\${words[i]}"
    case "$word" in
      --home) (( i++ )) ;;
      --) _command_names; return ;;
      -*) ;;
      *) case "$at" in ''|cert|verification|ca) at="\${at:+$at }$word" ;; esac ;;
    esac
  done
  case "$at \${words[CURRENT-1]}" in
${values.join('\n')}
    *' --home') _files -/; return ;;
  esac
  case "$at" in
    '') words_here=(${described([...top.map(({ path, summary }) => [path[0] ?? '', summary] as const), ['help', 'show the help of a command']])}) ;;
${cases.join('\n')}
  esac
  _describe mtlsd words_here
  [[ -n "$at" ]] && _files
}
if [ "$funcstack[1]" = "_mtlsd" ]; then _mtlsd "$@"; else compdef _mtlsd mtlsd; fi
`;
}

export function fishCompletion(nodes: readonly Node[]): string {
  const lines = [
    '# fish completion of mtlsd',
    'complete -c mtlsd -f',
    "complete -c mtlsd -l home -r -d 'the home folder'",
    "complete -c mtlsd -l help -d 'show help'",
  ];
  for (const { path, summary, options, choices, names } of nodes) {
    const [first = '', second] = path;
    const seen =
      second === undefined
        ? `__fish_seen_subcommand_from ${first}`
        : `__fish_seen_subcommand_from ${first}; and __fish_seen_subcommand_from ${second}`;
    const offered = second === undefined ? '__fish_use_subcommand' : `__fish_seen_subcommand_from ${first}`;
    lines.push(`complete -c mtlsd -n '${offered}' -a ${second ?? first} -d ${fishText(summary)}`);
    for (const { flags, description, choices, takesValue, file } of options) {
      const named = flags
        .map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`))
        .join(' ');
      const value = choices.length > 0 ? ` -x -a '${choices.join(' ')}'` : takesValue ? (file ? ' -r -F' : ' -x') : '';
      lines.push(`complete -c mtlsd -n '${seen}' ${named}${value} -d ${fishText(description)}`);
    }
    if (choices.length > 0) lines.push(`complete -c mtlsd -n '${seen}' -a '${choices.join(' ')}'`);
    if (names) lines.push(`complete -c mtlsd -n '${seen}' -a '(${NAMES})'`);
  }
  return `${lines.join('\n')}\n`;
}

const fishText = (text: string): string => `'${text.replace(/[\\']/g, '\\$&')}'`;
/** Within single quotes; brackets and colons mean something to _arguments and _describe. */
const zshText = (text: string): string => text.replaceAll("'", "'\\''").replace(/[[\]:]/g, '\\$&');
