import { useRef, useState } from 'preact/hooks';
import { type Dropped } from '../files/group.ts';
import { kindOf } from '../files/kind.ts';
import { Icon } from './icon.tsx';

/** The API takes bodies of 1 MiB; what is larger is no certificate. */
const LARGEST = 700_000;

interface Props {
  readonly label: string;
  readonly compact?: boolean;
  readonly multiple?: boolean;
  readonly onFiles: (files: readonly File[]) => void;
}

/** What an element needs to take dropped files; `over` while some are held above it. */
export function useDrop(onFiles: Props['onFiles']) {
  const [over, setOver] = useState(false);
  return {
    over,
    handlers: {
      onDragOver(event: DragEvent) {
        event.preventDefault();
        setOver(true);
      },
      onDragLeave: () => setOver(false),
      onDrop(event: DragEvent) {
        event.preventDefault();
        event.stopPropagation(); // an element further out takes files too
        setOver(false);
        onFiles([...(event.dataTransfer?.files ?? [])]);
      },
    },
  };
}

/** Takes files by drop, click or keyboard. */
export function DropZone({ label, compact = false, multiple = false, onFiles }: Props) {
  const input = useRef<HTMLInputElement>(null);
  const { over, handlers } = useDrop(onFiles);
  return (
    <div class={`drop ${compact ? 'compact' : ''} ${over ? 'over' : ''}`} {...handlers}>
      <button type="button" onClick={() => input.current?.click()}>
        <Icon name="file" /> <span class="clip">{label}</span>
      </button>
      <input
        ref={input}
        type="file"
        hidden
        multiple={multiple}
        onChange={({ currentTarget }) => {
          onFiles([...(currentTarget.files ?? [])]);
          currentTarget.value = '';
        }}
      />
    </div>
  );
}

/** @throws Error for a file that is no certificate by its size */
export async function readFiles(files: readonly File[]): Promise<Dropped[]> {
  return Promise.all(
    files.map(async (file) => {
      if (file.size > LARGEST) throw new Error(`${file.name} is too large for a certificate (${file.size} bytes)`);
      const bytes = new Uint8Array(await file.arrayBuffer());
      return { name: file.name, bytes, kind: kindOf(bytes) };
    }),
  );
}
