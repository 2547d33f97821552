/**
 * A contract host in memory, for tests and benches of the engine alone. Not a ledger: no journal, no
 * money.
 */
import { sha256, verifySignature } from '#libs/crypto';
import { type Bytes, compareBytes } from '#libs/kernel';
import type { CallReply, CallRequest, ContractFrame, ContractHost } from './host.ts';

const NO_ACCOUNT = '00'.repeat(32);

/** One character per byte: keeps the order of bytes. */
const textOf = (key: Bytes): string => String.fromCharCode.apply(null, key as unknown as number[]);
const keyOf = (text: string): Bytes => Uint8Array.from(text, (c) => c.charCodeAt(0));

export class MemoryContractHost implements ContractHost {
  readonly values = new Map<string, Bytes>();
  readonly events: { topic: string; data: Bytes }[] = [];
  readonly calls: CallRequest[] = [];
  reply: CallReply = { kind: 'failed', code: 'NO_CONTRACT', message: 'none', fuelUsed: 0n };
  frame: ContractFrame;

  constructor(frame: Partial<ContractFrame> = {}) {
    this.frame = {
      caller: NO_ACCOUNT,
      origin: NO_ACCOUNT,
      self: NO_ACCOUNT,
      value: 0n,
      chain: NO_ACCOUNT,
      height: 1,
      timeUs: 1_000_000,
      seed: NO_ACCOUNT,
      ...frame,
    };
  }

  get(key: Bytes): Bytes | undefined {
    return this.values.get(textOf(key));
  }

  put(key: Bytes, value: Bytes): void {
    this.values.set(textOf(key), value);
  }

  delete(key: Bytes): void {
    this.values.delete(textOf(key));
  }

  scan(prefix: Bytes, cursor: Bytes | undefined, limit: number) {
    const start = textOf(prefix);
    return [...this.values]
      .filter(([key]) => key.startsWith(start))
      .map(([key, value]) => [keyOf(key), value] as const)
      .filter(([key]) => !cursor || compareBytes(key, cursor) > 0)
      .sort(([a], [b]) => compareBytes(a, b))
      .slice(0, limit);
  }

  emit(topic: string, data: Bytes): void {
    this.events.push({ topic, data });
  }

  sha256(data: Bytes): Bytes {
    return sha256(data);
  }

  verify(publicKey: string, domain: string, message: Bytes, signature: Bytes): boolean {
    return verifySignature(publicKey, domain, message, signature);
  }

  call(request: CallRequest): CallReply {
    this.calls.push(request);
    return this.reply;
  }
}
