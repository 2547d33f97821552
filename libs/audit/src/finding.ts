/** Outcome of one check of a receipt: whether it held, and what was found, in words. */
import { isSeeleError } from '#libs/kernel';

export interface Finding {
  readonly ok: boolean;
  readonly words: string;
}

export const held = (words: string): Finding => ({ ok: true, words });
export const failed = (words: string): Finding => ({ ok: false, words });

/** Runs a check; a typed error is a failed check, anything else a defect of ours. */
export function attempt(check: () => Finding): Finding {
  try {
    return check();
  } catch (error) {
    if (!isSeeleError(error)) throw error;
    return failed(error.message);
  }
}

export const plural = (count: number, one: string, many = `${one}s`): string =>
  `${count} ${count === 1 ? one : many}`;
