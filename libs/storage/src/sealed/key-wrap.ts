/** The port through which the key of sealed content reaches those who may read it. */
import type { Bytes } from '#libs/kernel';

/** Content keys are for AES-256. */
export const CONTENT_KEY_BYTES = 32;
/** Longest wrapped key that a sealed content may carry. */
export const MAX_WRAPPED_BYTES = 16 * 1024;

/** Wraps a key for one recipient, or for whoever a policy lets in. */
export interface KeyWrap {
  /** Names the scheme and its version; written beside the wrapped key. */
  readonly scheme: string;
  /**
   * The key, for the recipient alone. `binding` (32 bytes) is what the key opens: the wrapped key is
   * of no use beside anything else.
   */
  wrap(contentKey: Bytes, binding: Bytes): Promise<Bytes>;
}

/** Opens keys that were wrapped for its holder. */
export interface KeyUnwrap {
  readonly scheme: string;
  /** Undefined when it was not wrapped for this holder, was changed, or is bound to something else. */
  unwrap(wrapped: Bytes, binding: Bytes): Promise<Bytes | undefined>;
}
