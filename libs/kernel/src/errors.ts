/**
 * Typed errors: one class, one stable code per failure, one line a person can act on.
 *
 * Every library declares its failures once, in a catalogue; the code is what programs match on, the
 * HTTP status is what the edge answers with (RFC 9457), the fix is what the reader should do next.
 * docs/errors.md is generated from the catalogues.
 */

export interface ErrorEntry {
  /** HTTP status the edge answers with. */
  readonly status: number;
  /** What went wrong, in a few words; stays the same for every occurrence. */
  readonly title: string;
  /** What the reader can do about it. */
  readonly fix: string;
}

export type ErrorCatalogue<C extends string = string> = Readonly<Record<C, ErrorEntry>>;

/** Facts about one occurrence. Never secrets: they are logged and sent to clients. */
export type ErrorDetail = Readonly<Record<string, string | number | boolean | null | undefined>>;

interface SeeleErrorOptions {
  readonly detail?: ErrorDetail | undefined;
  readonly cause?: unknown;
}

/** A refusal or failure with a stable code. `message` says what is wrong and with which input. */
export class SeeleError<C extends string = string> extends Error {
  override readonly name = 'SeeleError';
  readonly code: C;
  readonly status: number;
  readonly title: string;
  readonly fix: string;
  readonly detail: ErrorDetail;

  constructor(code: C, entry: ErrorEntry, message: string, options: SeeleErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.status = entry.status;
    this.title = entry.title;
    this.fix = entry.fix;
    this.detail = options.detail ?? {};
  }
}

const registered = new Map<string, ErrorEntry>();

/**
 * Declares a library's failures and returns the function that creates them.
 *
 * @example
 * const fail = defineErrors({ LEDGER_NONCE_GAP: { status: 409, title: 'Nonce gap', fix: '…' } });
 * throw fail('LEDGER_NONCE_GAP', `nonce 7 follows 4 in ${account}`);
 */
export function defineErrors<const T extends ErrorCatalogue>(catalogue: T) {
  for (const [code, entry] of Object.entries(catalogue)) registered.set(code, entry);
  return <C extends keyof T & string>(
    code: C,
    message: string,
    options: SeeleErrorOptions = {},
  ): SeeleError<C> => new SeeleError(code, catalogue[code] as ErrorEntry, message, options);
}

/** Every failure that the loaded libraries declared, sorted by code. */
export function documentedErrors(): ReadonlyArray<readonly [string, ErrorEntry]> {
  return [...registered].sort(([a], [b]) => (a < b ? -1 : 1));
}

/** The catalogue entry of a code that came over a wire, if this build knows it. */
export function errorEntry(code: string): ErrorEntry | undefined {
  return registered.get(code);
}

export function isSeeleError(value: unknown): value is SeeleError {
  return value instanceof SeeleError;
}

/** True for a `SeeleError` with this code; narrows nothing else, so it is safe on any `unknown`. */
export function hasCode(value: unknown, code: string): boolean {
  return value instanceof SeeleError && value.code === code;
}

export const kernelError = defineErrors({
  KERNEL_INVARIANT: {
    status: 500,
    title: 'Invariant violated',
    fix: 'This is a defect in Seele: report it with the message and the log around it.',
  },
  KERNEL_CBOR_INVALID: {
    status: 400,
    title: 'Malformed CBOR',
    fix: 'Send canonical DAG-CBOR: shortest integers, sorted unique keys, definite lengths.',
  },
  KERNEL_CBOR_LIMIT: {
    status: 413,
    title: 'Encoded data over its limit',
    fix: 'Send less data, or split it.',
  },
  KERNEL_CBOR_UNSUPPORTED: {
    status: 400,
    title: 'Value has no canonical encoding',
    fix: 'Use null, booleans, 64-bit integers, finite floats, text, bytes, lists, maps and CIDs.',
  },
  KERNEL_SHAPE: {
    status: 400,
    title: 'Value has the wrong shape',
    fix: 'Compare the named field with the documented schema.',
  },
  KERNEL_ID_INVALID: {
    status: 400,
    title: 'Malformed identifier',
    fix: 'Copy the identifier again, whole.',
  },
  KERNEL_AMOUNT_INVALID: {
    status: 400,
    title: 'Malformed amount',
    fix: 'Write a non-negative decimal number with at most nine digits after the point.',
  },
});

/** States what must hold. A violation is a defect of ours, never a user's input. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw kernelError('KERNEL_INVARIANT', message);
}
