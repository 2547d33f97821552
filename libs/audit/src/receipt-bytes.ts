/** How a receipt of either kind is read: within limits, and only when no other bytes mean the same. */
import {
  type Bytes,
  type Codec,
  decodeWith,
  encodeWith,
  equalBytes,
  isSeeleError,
} from '#libs/kernel';
import { auditError } from './errors.ts';

const MAX_DEPTH = 12;

/** Reads one version of a file. @throws AUDIT_RECEIPT_MALFORMED */
export function readCanonical<T extends { readonly version: number }>(
  codec: Codec<T>,
  bytes: Bytes,
  { version, maxBytes }: { readonly version: number; readonly maxBytes: number },
): T {
  try {
    const file = decodeWith(codec, bytes, { maxBytes, maxDepth: MAX_DEPTH });
    // What was read must be the whole of what is there, or two files could mean the same.
    if (file.version === version && equalBytes(encodeWith(codec, file), bytes)) return file;
  } catch (cause) {
    if (!isSeeleError(cause)) throw cause;
    throw auditError('AUDIT_RECEIPT_MALFORMED', `the file cannot be read: ${cause.message}`, {
      cause,
    });
  }
  throw auditError('AUDIT_RECEIPT_MALFORMED', 'the file is of another version or not canonical');
}
