/** What the market's thread and the catalogue's threads say to each other. */
import type { CatalogueAnswers } from './catalogue-answers.ts';

export interface ThreadSettings {
  readonly role: 'index' | 'answer';
  /** Of the index. */
  readonly file: string;
  /** Genesis id, hex. */
  readonly chain: string;
  readonly nodeUrl: string;
  readonly storageUrl: string;
  readonly storageToken?: string;
  readonly shapesFile: string;
}

export type AnswersMethod = Exclude<keyof CatalogueAnswers, symbol>;

export interface Question {
  readonly id: number;
  readonly method: AnswersMethod;
  readonly args: readonly unknown[];
}

export type Answer =
  | { readonly kind: 'ready' }
  | {
      readonly kind: 'note';
      readonly note: Readonly<Record<string, unknown>>;
      readonly text: string;
    }
  | { readonly kind: 'answer'; readonly id: number; readonly value: unknown }
  | {
      readonly kind: 'refusal';
      readonly id: number;
      readonly code: string;
      readonly message: string;
    };
