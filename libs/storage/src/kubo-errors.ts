/** Reads what a Kubo RPC answered: ours says the code in a header, Kubo only in its message. */
import { errorEntry, isSeeleError, type SeeleError } from '#libs/kernel';

import { storageError } from './errors.ts';

/** Header in which the storage app names the code of a failure. */
export const ERROR_CODE_HEADER = 'x-seele-error';

type StorageCode = Parameters<typeof storageError>[0];

interface HttpFailure {
  readonly message: string;
  readonly response: { readonly status: number; readonly headers: Headers };
}

function isHttpFailure(value: unknown): value is HttpFailure {
  return (
    value instanceof Error &&
    'response' in value &&
    typeof value.response === 'object' &&
    value.response !== null &&
    'status' in value.response
  );
}

const byStatus: Readonly<Record<number, StorageCode>> = {
  401: 'STORAGE_UNAUTHORIZED',
  403: 'STORAGE_UNAUTHORIZED',
  413: 'STORAGE_TOO_LARGE',
  429: 'STORAGE_BUSY',
  503: 'STORAGE_BUSY',
  507: 'STORAGE_FULL',
};

function codeOf({ message, response }: HttpFailure): StorageCode {
  const named = response.headers.get(ERROR_CODE_HEADER) ?? '';
  if (named.startsWith('STORAGE_') && errorEntry(named) !== undefined) return named as StorageCode;
  const known = byStatus[response.status];
  if (known !== undefined) return known;
  if (/not found|could not find/i.test(message)) return 'STORAGE_NOT_FOUND';
  if (/no space left/i.test(message)) return 'STORAGE_FULL';
  if (/hash mismatch|did not match/i.test(message)) return 'STORAGE_CORRUPT';
  if (/invalid (cid|path)|selected encoding/i.test(message)) return 'STORAGE_CID_INVALID';
  return 'STORAGE_FAILED';
}

/** Turns whatever a call to the RPC threw into a `SeeleError`. Aborts stay what they are. */
export function toStorageError(error: unknown, url: string, signal?: AbortSignal): unknown {
  if (isSeeleError(error)) return error;
  if (signal?.aborted) return signal.reason;
  if (isHttpFailure(error)) {
    const text = error.message.slice(0, 500);
    return storageError(codeOf(error), text, { detail: { httpStatus: error.response.status } });
  }
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const reason = cause instanceof Error ? cause.message : String(cause);
  return storageError('STORAGE_UNAVAILABLE', `${url} does not answer (${reason})`, {
    cause: error,
  });
}

/** Whether trying the same call again may help: nothing was answered, or "later". */
export function mayRetry(error: unknown): error is SeeleError {
  return (
    isSeeleError(error) && (error.code === 'STORAGE_UNAVAILABLE' || error.code === 'STORAGE_BUSY')
  );
}
