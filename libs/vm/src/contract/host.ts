/**
 * What a user contract can ask of the ledger, whichever language it is written in. The ledger
 * implements this port; the engine prices and bounds every use before it gets there.
 */
import type { Bytes } from '#libs/kernel';

export interface ContractFrame {
  /** Account that called this frame, hex. */
  readonly caller: string;
  /** Account that signed the transaction, hex. */
  readonly origin: string;
  /** The contract's own account, hex. */
  readonly self: string;
  /** Money sent along with the call, smallest units; already on the contract's account. */
  readonly value: bigint;
  readonly chain: string;
  readonly height: number;
  readonly timeUs: number;
  /** 32 bytes, hex: the same on every node, different in every frame. Not secret. */
  readonly seed: string;
}

export interface CallRequest {
  readonly contract: string;
  readonly method: string;
  /** Canonical CBOR list of arguments. */
  readonly args: Bytes;
  readonly value: bigint;
  /** Most fuel the callee may use. */
  readonly fuel: bigint;
}

export type CallReply =
  | { readonly kind: 'returned'; readonly data: Bytes; readonly fuelUsed: bigint }
  | {
      readonly kind: 'failed';
      readonly code: string;
      readonly message: string;
      readonly fuelUsed: bigint;
    };

export interface ContractHost {
  readonly frame: ContractFrame;
  get(key: Bytes): Bytes | undefined;
  put(key: Bytes, value: Bytes): void;
  delete(key: Bytes): void;
  scan(
    prefix: Bytes,
    cursor: Bytes | undefined,
    limit: number,
  ): readonly (readonly [key: Bytes, value: Bytes])[];
  emit(topic: string, data: Bytes): void;
  sha256(data: Bytes): Bytes;
  verify(publicKey: string, domain: string, message: Bytes, signature: Bytes): boolean;
  call(request: CallRequest): CallReply;
}

/** Bounds of one frame; part of the VM version. */
export const CONTRACT_LIMITS = {
  keyBytesMax: 256,
  valueBytesMax: 64 * 1024,
  eventsMax: 64,
  eventBytesMax: 16 * 1024,
  topicCharsMax: 64,
  returnBytesMax: 64 * 1024,
  revertBytesMax: 1_024,
  scanEntriesMax: 256,
  scanBytesMax: 256 * 1024,
  /** Nested calls, the first frame included. */
  depthMax: 16,
} as const;

/** Fuel of host operations; `perByte` counts what crosses the border. Part of the VM version. */
export const HOST_FUEL = {
  get: { base: 20_000n, perByte: 10n },
  put: { base: 50_000n, perByte: 100n },
  delete: { base: 20_000n, perByte: 0n },
  scan: { base: 20_000n, perByte: 10n },
  scanEntry: 20_000n,
  emit: { base: 10_000n, perByte: 20n },
  sha256: { base: 5_000n, perByte: 30n },
  verify: { base: 1_000_000n, perByte: 30n },
  /** Loading the callee's image. */
  call: { base: 300_000n, perByte: 10n },
} as const;

/** A caller always keeps this share of its fuel, so that it can handle the callee's failure. */
export const CALLER_KEEPS_SHARE = 64n;
