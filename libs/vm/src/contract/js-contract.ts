/**
 * A user contract in JavaScript: the module's exported functions are its methods, called with `ctx`
 * and the decoded arguments. Every call starts from the image taken after loading.
 */
import { type Bytes, utf8, decodeCbor, encodeCbor, utf8Decode, type CborValue } from '#libs/kernel';
import type { JsReply } from '../js/guest-values.ts';
import type { JsEngine } from '../js/js-engine.ts';
import { type JsHost, JsMachine, type JsOperation, type JsOutcome } from '../js/js-machine.ts';
import { GuestAbort } from '../wasm/metered-instance.ts';
import { ContractRevert, FrameOperations } from './frame-operations.ts';
import type { CallReply, CallRequest, ContractFrame } from './host.ts';
import {
  type ContractCall,
  type ContractOutcome,
  CONTRACT_STACK_BYTES,
  LOAD_FUEL_MAX,
  METHOD_NAME,
  type UserContract,
} from './outcome.ts';
import { CONTRACT_OPERATION, CONTRACT_PRELUDE, FRAME_FIELDS } from './js-prelude.ts';

export class JsContract implements UserContract {
  readonly #machine: JsMachine;
  readonly loadFuelUsed: bigint;
  #operations: FrameOperations | undefined;
  #frame: ContractFrame | undefined;
  #input: JsReply;

  private constructor(
    machine: (host: JsHost) => JsMachine,
    loadFuelUsed: (machine: JsMachine) => bigint,
  ) {
    this.#machine = machine(this.#host());
    this.#machine.stackBytes = CONTRACT_STACK_BYTES;
    this.loadFuelUsed = loadFuelUsed(this.#machine);
  }

  /**
   * The start of the engine itself is not charged: it is done once for all contracts.
   *
   * @param fuelMax what running the module's top level may cost
   * @throws VM_SOURCE_LIMIT, VM_PROGRAM_INVALID
   */
  static load(engine: JsEngine, source: string, fuelMax: bigint = LOAD_FUEL_MAX): JsContract {
    const fuel = JsMachine.bootFuel(engine, CONTRACT_PRELUDE) + fuelMax;
    return new JsContract(
      (host) => JsMachine.load(engine, CONTRACT_PRELUDE, source, host, fuel),
      (machine) => fuelMax - machine.fuel,
    );
  }

  /** The same contract once more: one that can run while this one does. */
  fork(): JsContract {
    return new JsContract(
      (host) => this.#machine.fork(host),
      () => this.loadFuelUsed,
    );
  }

  get residentBytes(): number {
    return this.#machine.residentBytes;
  }

  rest(): void {
    this.#machine.shrink();
  }

  call(call: ContractCall): ContractOutcome {
    const { host, fuel, method } = call;
    if (!METHOD_NAME.test(method))
      return { kind: 'reverted', code: 'NO_SUCH_METHOD', message: method, fuelUsed: 0n };
    this.#operations = new FrameOperations(host, this.#machine);
    this.#frame = host.frame;
    this.#input = [method, ...(decodeCbor(call.args) as readonly CborValue[])];
    try {
      const outcome = this.#machine.call(fuel);
      return contractOutcome(outcome, this.#operations.returned, fuel, this.#machine.fuel);
    } finally {
      this.#operations = undefined;
      this.#frame = undefined;
      this.#input = undefined;
    }
  }

  get #running(): FrameOperations {
    if (this.#operations) return this.#operations;
    throw new GuestAbort('a contract cannot reach the chain while it loads');
  }

  #host(): JsHost {
    const OP = CONTRACT_OPERATION;
    const table = new Map<number, JsOperation>();
    const on = (number: number, takes: string, run: (...args: never[]) => unknown) =>
      table.set(number, { takes, run: (args) => run(...(args as never[])) as JsReply });
    on(OP.input, '', () => this.#input);
    on(OP.output, '*', (value: CborValue) => this.#running.finish(encodeCbor(value)));
    on(OP.frame, 'n', (field: number) => this.#frameField(field));
    on(OP.get, 'u', (key: Bytes) => stored(this.#running.get(key)));
    on(OP.put, 'u*', (key: Bytes, value: CborValue) => this.#running.put(key, encodeCbor(value)));
    on(OP.delete, 'u', (key: Bytes) => this.#running.delete(key));
    on(OP.scan, 'ssn', (prefix: string, cursor: string, limit: number) =>
      this.#running
        .scan(utf8(prefix), cursor === '' ? undefined : utf8(cursor), limit)
        .map(([key, value]) => [utf8Decode(key), stored(value) ?? null]),
    );
    on(OP.emit, 's*', (topic: string, value: CborValue) =>
      this.#running.emit(topic, encodeCbor(value)),
    );
    on(OP.revert, 'ss', (code: string, message: string) => this.#running.revert(code, message));
    on(OP.sha256, 'b', (data: Bytes) => this.#running.sha256(data));
    on(OP.verify, 'ssbb', (key: string, domain: string, message: Bytes, signature: Bytes) =>
      this.#running.verify(key, domain, message, signature),
    );
    on(
      OP.call,
      'ssii*',
      (contract: string, method: string, value: Integer, fuel: Integer, args: CborValue) =>
        callFrame(this.#running, {
          ...{ contract, method, args: encodeCbor(args) },
          ...{ value: BigInt(value), fuel: BigInt(fuel) },
        }),
    );
    return table;
  }

  #frameField(field: number): JsReply {
    const name = FRAME_FIELDS[field];
    if (!this.#frame || name === undefined) throw new GuestAbort(`no frame field ${field}`);
    return this.#frame[name];
  }
}

type Integer = bigint | number;

function stored(bytes: Bytes | undefined): CborValue | undefined {
  return bytes && decodeCbor(bytes);
}

function callFrame(operations: FrameOperations, request: CallRequest): CborValue {
  if (request.value < 0n || request.fuel < 0n)
    operations.revert('VM_CALL_AMOUNT', 'value and fuel of a call must not be negative');
  const reply: CallReply = operations.call(request);
  return reply.kind === 'returned'
    ? [true, decodeCbor(reply.data)]
    : [false, reply.code, reply.message];
}

/** Turns how the engine ended into how the frame ended. */
function contractOutcome(
  outcome: JsOutcome,
  returned: Bytes | undefined,
  fuel: bigint,
  fuelLeft: bigint,
): ContractOutcome {
  const fuelUsed = fuelLeft < 0n ? fuel : fuel - fuelLeft;
  switch (outcome.kind) {
    case 'returned':
      return { kind: 'returned', data: returned ?? encodeCbor(null), fuelUsed };
    case 'threw':
      return { kind: 'reverted', code: 'THREW', message: outcome.message, fuelUsed };
    case 'trapped':
      return { kind: 'trapped', cause: outcome.cause, message: outcome.detail, fuelUsed: fuel };
    case 'aborted': {
      const { reason } = outcome;
      if (reason instanceof ContractRevert)
        return { kind: 'reverted', code: reason.code, message: reason.message, fuelUsed };
      return { kind: 'trapped', cause: 'guest-trap', message: reason.message, fuelUsed: fuel };
    }
  }
}
