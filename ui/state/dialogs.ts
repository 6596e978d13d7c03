/** The one dialog that is open. */
import { signal } from '@preact/signals';
import type { CertificateFacts, Entry, Operations } from '../api/document.ts';

export type Rule = NonNullable<Operations['showVerification']['answer']['rules']>[number];

export type DialogState =
  | { readonly kind: 'help' }
  | {
      readonly kind: 'add-certificate';
      readonly host?: string;
      readonly port?: number;
      readonly files?: readonly File[];
    }
  | { readonly kind: 'edit-certificate'; readonly entry: Entry }
  | { readonly kind: 'replace-certificate'; readonly entry: Entry; readonly files?: readonly File[] }
  | {
      readonly kind: 'trust-ca';
      readonly authority: string;
      readonly candidate: CertificateFacts | null;
    }
  | { readonly kind: 'add-ca' }
  | { readonly kind: 'report-host'; readonly authority: string }
  | { readonly kind: 'report-all' }
  | { readonly kind: 'rule'; readonly rule: Rule | null };

export const dialog = signal<DialogState | null>(null);

export const openDialog = (state: DialogState): void => {
  dialog.value = state;
};
export const closeDialog = (): void => {
  dialog.value = null;
};
