/** Line icons, 16 by 16, in the colour of the text beside them; never the only sign of anything. */
const PATHS = {
  good: 'M3 8.5l3.2 3.2L13 4.8',
  warn: 'M8 3v6.2M8 12.4v.2',
  bad: 'M4 4l8 8M12 4l-8 8',
  plain: 'M4 8h8',
  close: 'M4 4l8 8M12 4l-8 8',
  copy: 'M6 6h7v7H6zM10 6V3H3v7h3',
  add: 'M8 3v10M3 8h10',
  search: 'M7 3a4 4 0 100 8 4 4 0 000-8zM10 10l3.4 3.4',
  pause: 'M6 3.5v9M10 3.5v9',
  play: 'M5 3.5v9l7-4.5z',
  clear: 'M3 4.5h10M6.5 4.5V3h3v1.5M4.5 4.5l.6 8.5h5.8l.6-8.5',
  follow: 'M8 3v9M4.5 8.8L8 12.3l3.5-3.5',
  save: 'M8 2.8v7M5 7l3 3 3-3M3 13h10',
  help: 'M6 6.2a2 2 0 113 1.7c-.7.5-1 .8-1 1.6M8 12.2v.2',
  out: 'M9 3H4v10h5M7.5 8H14M11.5 5.5L14 8l-2.5 2.5',
  file: 'M4 2.5h5l3 3v8H4zM9 2.5v3h3',
  shield: 'M8 2l5 2v4c0 3-2 5-5 6-3-1-5-3-5-6V4z',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { readonly name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
