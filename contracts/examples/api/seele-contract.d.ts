/** What a contract sees. Every exported function of the module is a method: `method(ctx, ...args)`. */

/**
 * What can be stored, sent and returned. Integers are 64 bits wide and always arrive as bigint;
 * numbers must be whole. Fractions, functions and class instances are refused.
 */
export type Value =
  | null
  | boolean
  | bigint
  | number
  | string
  | Uint8Array
  | readonly Value[]
  | { readonly [key: string]: Value | undefined };

/** 64 hex digits. */
export type Account = string;

export interface Storage {
  get<T extends Value = Value>(key: string): T | undefined;
  /** Keys have 1 to 256 bytes, values at most 64 kB. */
  put(key: string, value: Value): void;
  delete(key: string): void;
  /** Entries whose key begins with `prefix`, in key order, after `cursor`; at most 256. */
  scan<T extends Value = Value>(prefix: string, cursor?: string, limit?: number): [string, T][];
}

export interface CallOptions {
  /** Money that goes with the call, smallest units, from the contract's own balance. */
  readonly value?: bigint;
  /** Most fuel the callee may use; the caller always keeps a 64th of its own. */
  readonly fuel?: bigint;
  /** Return `{ failed, code, message }` instead of failing with the callee. */
  readonly catch?: boolean;
}

export interface Ctx {
  /** Who called: an account, or the account of the calling contract. */
  readonly caller: Account;
  /** Who signed the transaction. */
  readonly origin: Account;
  /** This contract's account; it can hold money. */
  readonly self: Account;
  /** Money that came with the call, already on this contract's balance. */
  readonly value: bigint;
  /** 64 hex digits, different in every frame, the same on every node; not secret. */
  readonly seed: string;
  readonly block: { readonly chain: string; readonly height: bigint; readonly timeUs: bigint };
  readonly storage: Storage;
  /** At most 64 events in a transaction, 16 kB each. */
  emit(topic: string, data: Value): void;
  /** Ends the call and undoes what it did. Codes look like `NOT_YOURS`. */
  revert(code: string, message?: string): never;
  sha256(data: Uint8Array): Uint8Array;
  /** True when the tagged public key (hex) signed `message` in `domain`. */
  verify(publicKey: string, domain: string, message: Uint8Array, signature: Uint8Array): boolean;
  /** Pays from this contract's balance. */
  pay(to: Account, amount: bigint): void;
  /** Calls another contract (account or name) and waits for it. A running contract takes no calls. */
  call<T extends Value = Value>(
    contract: string,
    method: string,
    args?: readonly Value[] | { readonly [key: string]: Value },
    options?: CallOptions,
  ): T;
}

// What a test sees. A `*.test.ts` file exports `tests: Tests`; each gets a chain of its own.

export interface CallFrom {
  /** Default: the first account. */
  readonly from?: Account;
  readonly value?: bigint;
}

export interface TestChain {
  /** Five accounts with a million units each. */
  readonly accounts: readonly [Account, Account, Account, Account, Account];
  /** Account of the contract under test. */
  readonly contract: Account;
  /** Calls it as a transaction. Throws an Error with the code as its name when it fails. */
  call<T extends Value = Value>(method: string, args?: readonly Value[], from?: CallFrom): T;
  /** The code with which the call fails; undefined when it does not. */
  failure(method: string, args?: readonly Value[], from?: CallFrom): string | undefined;
  /** Events of the last call that went well. */
  readonly events: readonly { readonly topic: string; readonly data: Value }[];
  /** Fuel that the last call used. */
  readonly fuelUsed: bigint;
  /** The token balance of an account. */
  balance(account: Account): bigint;
  /** Moves block time on. */
  advance(seconds: number): void;
  /** Fails the test unless both are the same by value. */
  equal(actual: unknown, expected: unknown): void;
}

export type Tests = Readonly<Record<string, (chain: TestChain) => void>>;
