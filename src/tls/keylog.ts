import { appendFile } from 'node:fs';

/**
 * Appends session keys in NSS's key log format, as Wireshark reads it.
 * @param onFailed called for the first line that can't be written
 */
export function keylogTo(path: string, onFailed: (why: string) => void): (line: Buffer) => void {
  let failed = false;
  return (line) => {
    appendFile(path, line, { mode: 0o600 }, (error) => {
      if (error && !failed) onFailed(`${path} can't be written: ${error.message}`);
      failed ||= error !== null;
    });
  };
}
