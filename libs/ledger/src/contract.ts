/**
 * What a system contract is, and what it sees while it runs. System contracts are pure TypeScript:
 * no clock, no randomness, no I/O, no floats; all state goes through `Context.storage`, which the
 * ledger journals, so a revert or a trap undoes every write of the frame.
 */
import type { AccountId, Bytes, Codec } from '#libs/kernel';

export interface BlockContext {
  /** Genesis id of the chain, hex. */
  readonly chain: string;
  readonly height: number;
  /**
   * Hash of the block before this one (the genesis id at height 1), hex: nobody knew it before that
   * block stood. Whoever orders blocks can choose among few; do not draw lots for money with it alone.
   */
  readonly parent: string;
  /** Block time in microseconds since the Unix epoch; never decreases along a chain. */
  readonly timeUs: number;
  /**
   * Era of consensus that the block after this one belongs to; 0 where one sequencer orders. What a call
   * fixes for `era + 2` is fixed before any validator asks for it. Never read it off the clock: a chain
   * that was idle is behind.
   */
  readonly era: number;
}

export interface ContractStorage {
  get(key: Bytes): Bytes | undefined;
  put(key: Bytes, value: Bytes): void;
  delete(key: Bytes): void;
  /** Entries whose key begins with `prefix`, in key order, after `cursor` when given. */
  scan(
    prefix: Bytes,
    options: { readonly cursor?: Bytes; readonly limit: number },
  ): readonly (readonly [key: Bytes, value: Bytes])[];
}

export interface Context {
  /** Who called this frame: an account or, for a nested call, the calling contract's account. */
  readonly caller: AccountId;
  /** Who signed the transaction. */
  readonly origin: AccountId;
  /** The account of the running contract; it can hold a balance like any other. */
  readonly self: AccountId;
  readonly block: BlockContext;
  /** Id of the running transaction, hex. */
  readonly transactionId: string;
  readonly storage: ContractStorage;
  /** Uses fuel beyond what storage, events and calls cost; running out is a trap. */
  charge(fuel: bigint): void;
  /** Fuel that the running transaction (or the caller's share of it) still has. */
  readonly fuelLeft: bigint;
  /** Appends an event to the transaction's receipt; `data` is encoded with `codec`. */
  emit<T>(topic: string, codec: Codec<T>, data: T): void;
  /** Ends the frame, undoing its writes. `code` is stable and documented by the contract. */
  revert(code: string, message: string): never;
  /** Calls another contract on this chain in a nested frame; its revert propagates. */
  call<A, R>(contract: string, method: ContractMethod<A, R>, args: A): R;
  /** Verifies a domain-separated signature of a tagged public key (charged). */
  verify(publicKey: string, domain: string, message: Bytes, signature: Bytes): boolean;
}

export interface ContractMethod<A, R> {
  readonly name: string;
  readonly args: Codec<A>;
  readonly returns: Codec<R>;
  run(context: Context, args: A): R;
}

export interface SystemContract {
  /** Name on the chain: `token`, `orders`, … Its account is `contractAccount(name)`. */
  readonly name: string;
  readonly methods: Readonly<Record<string, ContractMethod<unknown, unknown>>>;
  /** Writes the contract's first state. Runs once, in genesis. */
  genesis?(context: Context, parameters: GenesisParameters): void;
}

/** What a chain is born with. Its hash, the genesis id, is the chain's identity. */
export interface GenesisParameters {
  /** First balances, by account. */
  readonly allocations: readonly { readonly account: AccountId; readonly amount: bigint }[];
  /** Contract settings, e.g. `orders.withdrawalDelayUs`; integers only. */
  readonly settings: readonly { readonly name: string; readonly value: bigint }[];
  /** The first validators, from the genesis' ordering; absent on a chain of one sequencer. */
  readonly validators?: {
    readonly bonds: readonly {
      readonly publicKey: string;
      readonly stake: bigint;
      /** BLS key, proven to be held. */
      readonly bls?: string;
    }[];
    /** Stake of one unit of weight. */
    readonly stakeUnit: bigint;
  };
}

/** Keeps the types of a method's arguments and result together. */
export function defineMethod<A, R>(method: ContractMethod<A, R>): ContractMethod<A, R> {
  return method;
}
