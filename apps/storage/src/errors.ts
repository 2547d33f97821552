/** Failures of the RPC itself, and how any failure looks in Kubo's shape `{Message, Code, Type}`. */
import { defineErrors, isSeeleError } from '#libs/kernel';
import { storageError } from '#libs/storage';

export const rpcError = defineErrors({
  STORAGE_RPC_METHOD: {
    status: 405,
    title: 'Only POST is answered',
    fix: 'Send the same request as POST.',
  },
  STORAGE_RPC_ORIGIN: {
    status: 403,
    title: 'Foreign origin',
    fix: 'Call from a program, or list the origin in SEELE_STORAGE_ORIGINS.',
  },
  STORAGE_RPC_TOKEN: {
    status: 401,
    title: 'Missing or wrong token',
    fix: 'Send `Authorization: Bearer` with the token in the file SEELE_STORAGE_TOKEN_FILE names.',
  },
  STORAGE_RPC_UNKNOWN: {
    status: 404,
    title: 'Unknown command',
    fix: 'See docs/storage.md for the commands that are answered.',
  },
  STORAGE_RPC_ARGUMENT: {
    status: 400,
    title: 'Wrong argument',
    fix: 'Compare the named argument with the Kubo RPC reference and docs/storage.md.',
  },
  STORAGE_RPC_BODY: {
    status: 400,
    title: 'Malformed request body',
    fix: 'Send multipart/form-data, whole.',
  },
  STORAGE_RPC_TIMEOUT: {
    status: 408,
    title: 'The request took too long',
    fix: 'Send it faster, in smaller pieces, or raise SEELE_STORAGE_ADD_TIMEOUT_MS.',
  },
  STORAGE_GATEWAY_FORMAT: {
    status: 406,
    title: 'The gateway has no answer of that kind',
    fix: 'Ask for format=raw, car or tar; for files as they are start it with SEELE_STORAGE_GATEWAY_FILES=true.',
  },
  STORAGE_GATEWAY_NOT_CACHED: {
    status: 412,
    title: 'Not here',
    fix: 'Ask without Cache-Control: only-if-cached, or another gateway.',
  },
  STORAGE_RPC_PINNED: {
    status: 500,
    title: 'The block is pinned',
    fix: 'Unpin it first.',
  },
});

/** Kubo's client error codes (go-ipfs-cmds): 0 normal, 1 client, 3 rate limited, 4 forbidden. */
const kuboCode = (status: number): number => {
  if (status >= 500) return status === 503 ? 3 : 0;
  return status === 403 ? 4 : 1;
};

/** Kubo answers 500 to every command that failed; only a wrong call or a limit says otherwise. */
const commandFailures = new Set(['STORAGE_NOT_FOUND', 'STORAGE_CORRUPT', 'STORAGE_FAILED']);

export interface RpcFailure {
  readonly status: number;
  readonly code: string;
  readonly body: { readonly Message: string; readonly Code: number; readonly Type: 'error' };
}

/** Anything thrown, as the answer to the client. Messages of unforeseen errors are not shown. */
export function rpcFailure(error: unknown): RpcFailure {
  const known = isSeeleError(error)
    ? error
    : storageError('STORAGE_FAILED', 'the storage process failed; its log says how');
  const status = commandFailures.has(known.code) ? 500 : known.status;
  return {
    status,
    code: known.code,
    body: { Message: known.message, Code: kuboCode(status), Type: 'error' },
  };
}
