/** What is asked of the extraction process (in its arguments), and what it says (lines of JSON). */
import type { RawSource } from './source-profile.ts';

export type ExtractionRequest =
  | {
      readonly is: 'profile';
      readonly kind: 'file' | 'folder';
      /** Absolute path of the file, or of the folder that the names are in. */
      readonly path: string;
    }
  | { readonly is: 'column'; readonly path: string; readonly column: string };

export type ExtractionNews =
  | { readonly is: 'at'; readonly name: string }
  | { readonly is: 'profile'; readonly profile: RawSource }
  | { readonly is: 'refusal'; readonly code: string; readonly message: string };

/** Where the process writes its lines, and reads the names of a folder's files. */
export const NEWS_FD = 3;
