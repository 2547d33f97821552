/**
 * The operations of a running contract frame, behind both guest interfaces (JavaScript and
 * WebAssembly): bounds checked, fuel charged, then the ledger asked.
 */
import { type Bytes, kernelError } from '#libs/kernel';
import { GuestAbort } from '../wasm/metered-instance.ts';
import {
  CALLER_KEEPS_SHARE,
  type CallReply,
  type CallRequest,
  CONTRACT_LIMITS,
  type ContractHost,
  HOST_FUEL,
} from './host.ts';

/** The contract ended its frame on purpose; its writes are undone, unused fuel is returned. */
export class ContractRevert extends GuestAbort {
  override readonly name = 'ContractRevert';
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** What the operations charge and read: a guest of either kind. */
export interface MeteredGuest {
  readonly fuel: bigint;
  /** A number must be whole and below 2^31. */
  charge(cost: bigint | number): void;
}

type Price = { readonly base: number; readonly perByte: number };
const priceOf = ({
  base,
  perByte,
}: {
  readonly base: bigint;
  readonly perByte: bigint;
}): Price => ({
  base: Number(base),
  perByte: Number(perByte),
});
/** `HOST_FUEL` as plain numbers: every amount here is far below 2^31. */
const PRICE = {
  get: priceOf(HOST_FUEL.get),
  put: priceOf(HOST_FUEL.put),
  delete: priceOf(HOST_FUEL.delete),
  scan: priceOf(HOST_FUEL.scan),
  scanEntry: Number(HOST_FUEL.scanEntry),
  emit: priceOf(HOST_FUEL.emit),
  sha256: priceOf(HOST_FUEL.sha256),
  verify: priceOf(HOST_FUEL.verify),
  call: priceOf(HOST_FUEL.call),
} as const;

const CODE_CHARS_MAX = 64;

function refuse(code: string, message: string): never {
  throw new ContractRevert(code, message);
}

export class FrameOperations {
  readonly #host: ContractHost;
  readonly #guest: MeteredGuest;
  #events = 0;
  returned: Bytes | undefined;

  constructor(host: ContractHost, guest: MeteredGuest) {
    this.#host = host;
    this.#guest = guest;
  }

  #pay(price: Price, sizeBytes: number): void {
    this.#guest.charge(price.base + price.perByte * sizeBytes);
  }

  #checkKey(key: Bytes): void {
    if (key.length === 0 || key.length > CONTRACT_LIMITS.keyBytesMax)
      refuse(
        'VM_KEY_SIZE',
        `storage key of ${key.length} bytes; 1 to ${CONTRACT_LIMITS.keyBytesMax} are allowed`,
      );
  }

  get(key: Bytes): Bytes | undefined {
    this.#checkKey(key);
    this.#pay(PRICE.get, key.length);
    const value = this.#host.get(key);
    this.#guest.charge(PRICE.get.perByte * (value?.length ?? 0));
    return value;
  }

  put(key: Bytes, value: Bytes): void {
    this.#checkKey(key);
    if (value.length > CONTRACT_LIMITS.valueBytesMax)
      refuse(
        'VM_VALUE_SIZE',
        `stored value of ${value.length} bytes; ${CONTRACT_LIMITS.valueBytesMax} are allowed`,
      );
    this.#pay(PRICE.put, key.length + value.length);
    this.#host.put(key, value);
  }

  delete(key: Bytes): void {
    this.#checkKey(key);
    this.#pay(PRICE.delete, key.length);
    this.#host.delete(key);
  }

  scan(prefix: Bytes, cursor: Bytes | undefined, limit: number): (readonly [Bytes, Bytes])[] {
    if (prefix.length > CONTRACT_LIMITS.keyBytesMax) this.#checkKey(prefix);
    const entriesMax = Math.min(Math.max(1, Math.trunc(limit)), CONTRACT_LIMITS.scanEntriesMax);
    this.#pay(PRICE.scan, prefix.length);
    const found: (readonly [Bytes, Bytes])[] = [];
    let sizeBytes = 0;
    for (const [key, value] of this.#host.scan(prefix, cursor, entriesMax)) {
      sizeBytes += key.length + value.length;
      if (sizeBytes > CONTRACT_LIMITS.scanBytesMax && found.length > 0) break;
      this.#guest.charge(PRICE.scanEntry + PRICE.scan.perByte * (key.length + value.length));
      found.push([key, value]);
    }
    return found;
  }

  emit(topic: string, data: Bytes): void {
    if (++this.#events > CONTRACT_LIMITS.eventsMax)
      refuse('VM_EVENTS', `over ${CONTRACT_LIMITS.eventsMax} events in one frame`);
    if (topic.length === 0 || topic.length > CONTRACT_LIMITS.topicCharsMax)
      refuse('VM_TOPIC', `event topic of ${topic.length} characters`);
    if (data.length > CONTRACT_LIMITS.eventBytesMax)
      refuse('VM_EVENT_SIZE', `event of ${data.length} bytes`);
    this.#pay(PRICE.emit, topic.length + data.length);
    this.#host.emit(topic, data);
  }

  revert(code: string, message: string): never {
    refuse(
      code.slice(0, CODE_CHARS_MAX) || 'REVERTED',
      message.slice(0, CONTRACT_LIMITS.revertBytesMax),
    );
  }

  sha256(data: Bytes): Bytes {
    this.#pay(PRICE.sha256, data.length);
    return this.#host.sha256(data);
  }

  verify(publicKey: string, domain: string, message: Bytes, signature: Bytes): boolean {
    this.#pay(PRICE.verify, message.length);
    return this.#host.verify(publicKey, domain, message, signature);
  }

  /** Runs the callee on the caller's fuel, of which the caller keeps a 64th. */
  call(request: CallRequest): CallReply {
    this.#pay(PRICE.call, request.args.length);
    const available = this.#guest.fuel - this.#guest.fuel / CALLER_KEEPS_SHARE;
    const fuel = request.fuel > 0n && request.fuel < available ? request.fuel : available;
    const reply = this.#host.call({ ...request, fuel });
    if (reply.fuelUsed > fuel || reply.fuelUsed < 0n)
      throw kernelError('KERNEL_INVARIANT', `callee used ${reply.fuelUsed} of ${fuel} fuel`);
    this.#guest.charge(reply.fuelUsed);
    return reply;
  }

  finish(data: Bytes): void {
    if (data.length > CONTRACT_LIMITS.returnBytesMax)
      refuse('VM_RETURN_SIZE', `result of ${data.length} bytes`);
    this.returned = data;
  }
}
