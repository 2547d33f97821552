/** What every system contract is made of: keys, stored values, events, settings and call builders. */
import {
  type Bytes,
  type Codec,
  concatBytes,
  decodeWith,
  encodeWith,
  hexToBytes,
  invariant,
  record,
  u64,
  utf8,
} from '#libs/kernel';
import type {
  Context,
  ContractMethod,
  ContractStorage,
  GenesisParameters,
  SystemContract,
} from '#libs/ledger';
import { contractError } from './errors.ts';

/** Result of a method that has nothing to say. */
export const done = record({});

/** One call of a transaction's body. */
export interface ContractCall {
  readonly contract: string;
  readonly method: string;
  /** Canonical CBOR of the method's arguments. */
  readonly args: Bytes;
  /** Money that goes with a call to a user contract. */
  readonly value?: bigint;
}

type CallBuilders<M> = {
  readonly [K in keyof M]: M[K] extends ContractMethod<infer A, unknown>
    ? (args: A) => ContractCall
    : never;
};

/**
 * For clients: one function per method that turns typed arguments into a transaction's call.
 *
 * @example tokenCalls.transfer({ to, amount: 5n })
 */
export function callBuilders<const M extends SystemContract['methods']>(
  contract: string,
  methods: M,
): CallBuilders<M> {
  const builders = Object.entries(methods).map(([key, method]) => [
    key,
    (args: unknown): ContractCall => ({
      contract,
      method: method.name,
      args: encodeWith(method.args, args),
    }),
  ]);
  return Object.fromEntries(builders) as CallBuilders<M>;
}

/** A kind of event: who emits it, its topic in receipts and the shape of its data. */
export interface ContractEvent<T> {
  readonly contract: string;
  readonly topic: string;
  readonly codec: Codec<T>;
}

export function defineEvent<T>(contract: string, topic: string, codec: Codec<T>): ContractEvent<T> {
  return { contract, topic, codec };
}

/** An event as receipts carry it. */
export interface EmittedEvent {
  readonly contract: string;
  readonly topic: string;
  readonly data: Bytes;
}

/**
 * For followers of a chain: the event's data when it is of that kind, else `undefined`.
 *
 * @example const placed = readEvent(ordersEvents.placed, event);
 */
export function readEvent<T>(kind: ContractEvent<T>, event: EmittedEvent): T | undefined {
  if (event.contract !== kind.contract || event.topic !== kind.topic) return undefined;
  return decodeWith(kind.codec, event.data);
}

export function emit<T>(context: Context, event: ContractEvent<T>, data: T): void {
  context.emit(event.topic, event.codec, data);
}

const knownPrefixes = new Map<string, Bytes>();
const KNOWN_PREFIXES_MAX = 100;

function prefixBytes(prefix: string): Bytes {
  const known = knownPrefixes.get(prefix);
  if (known) return known;
  const bytes = utf8(prefix);
  if (knownPrefixes.size < KNOWN_PREFIXES_MAX) knownPrefixes.set(prefix, bytes);
  return bytes;
}

/** Key made of a readable prefix and binary parts given in hex. */
export function storageKey(prefix: string, ...hexParts: readonly string[]): Bytes {
  const parts = hexParts.map((hex) => {
    const bytes = hexToBytes(hex);
    invariant(bytes !== undefined, `key part ${JSON.stringify(hex)} is not hex`);
    return bytes;
  });
  return concatBytes(prefixBytes(prefix), ...parts);
}

/** A number as part of a key: eight bytes, so that keys sort as their numbers do. */
export function numberKey(value: number): Bytes {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value));
  return bytes;
}

export function readValue<T>(
  storage: Pick<ContractStorage, 'get'>,
  key: Bytes,
  codec: Codec<T>,
): T | undefined {
  const bytes = storage.get(key);
  return bytes === undefined ? undefined : decodeWith(codec, bytes);
}

export function writeValue<T>(
  storage: Pick<ContractStorage, 'put'>,
  key: Bytes,
  codec: Codec<T>,
  value: T,
): void {
  storage.put(key, encodeWith(codec, value));
}

/** Settings of one contract, fixed in genesis. */
export interface ContractSettings<K extends string> {
  /** What a chain gets when its genesis names no other value. */
  readonly defaults: GenesisParameters['settings'];
  /** Writes the chain's values; called by the contract's `genesis`. @throws CONTRACT_GENESIS_INVALID */
  write(context: Context, parameters: GenesisParameters): void;
  read(storage: Pick<ContractStorage, 'get'>): Readonly<Record<K, bigint>>;
}

const SETTINGS_KEY = utf8('settings');
/** No duration is longer, so that adding it to a chain time stays an exact integer. */
export const SETTING_DURATION_MAX_US = 100n * 366n * 86_400_000_000n;

export function defineSettings<const D extends Readonly<Record<string, bigint>>>(
  contract: string,
  defaults: D,
): ContractSettings<keyof D & string> {
  type Values = Readonly<Record<keyof D & string, bigint>>;
  const names = Object.keys(defaults) as (keyof D & string)[];
  const fields = Object.fromEntries(names.map((name) => [name, u64]));
  const codec = record(fields) as unknown as Codec<Values>;
  const refuse = (what: string) => contractError('CONTRACT_GENESIS_INVALID', what);
  return {
    defaults: names.map((name) => ({
      name: `${contract}.${name}`,
      value: defaults[name] as bigint,
    })),
    write(context, parameters) {
      const values: Record<string, bigint> = { ...defaults };
      for (const { name, value } of parameters.settings) {
        if (!name.startsWith(`${contract}.`)) continue;
        const local = name.slice(contract.length + 1);
        if (!Object.hasOwn(defaults, local)) throw refuse(`unknown setting ${name}`);
        if (value < 0n || (local.endsWith('Us') && value > SETTING_DURATION_MAX_US))
          throw refuse(`${name} = ${value} is out of range`);
        values[local] = value;
      }
      writeValue(context.storage, SETTINGS_KEY, codec, values as Values);
    },
    read(storage) {
      const values = readValue(storage, SETTINGS_KEY, codec);
      invariant(values !== undefined, `contract ${contract} has no settings: genesis did not run`);
      return values;
    },
  };
}
