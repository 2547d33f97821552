/**
 * Runs calls of contracts: frames over one journal, metered, at most sixteen deep, never re-entrant.
 * A refusal undoes its frame; what is left of the transaction decides its caller. System contracts
 * run here, user contracts in the metered engine behind a port (user-frames.ts).
 */
import { contractAccount } from '#libs/crypto';
import {
  type AccountId,
  ByteArena,
  type Bytes,
  SeeleError,
  decodeCbor,
  decodeDirectly,
  encodeWith,
} from '#libs/kernel';
import type {
  BlockContext,
  Context,
  ContractMethod,
  ContractStorage,
  SystemContract,
} from './contract.ts';
import { ledgerError } from './errors.ts';
import {
  type CallOutcome,
  MAX_CALL_DEPTH,
  MAX_EVENTS,
  MAX_KEY_BYTES,
  MAX_VALUE_BYTES,
  type MachineRun,
  type VerifySignature,
  failureOf,
} from './frames.ts';
import { FUEL, type FuelMeter, fuelOfEvent, fuelOfGet, fuelOfPut } from './fuel.ts';
import type { StateJournal } from './journal.ts';
import type { Call } from './transaction.ts';
import { type UserContracts, UserFrames } from './user-frames.ts';

export interface Machine {
  readonly contracts: ReadonlyMap<string, SystemContract>;
  /**
   * Runs one top-level call in a frame of its own; the frame is undone when it fails.
   * @throws LEDGER_CONTRACT_FAULT when the contract fails in a way that is not a result
   */
  run(run: MachineRun, call: Call): CallOutcome;
  /** Runs every contract's `genesis`, in the order the contracts were given. */
  runGenesis(
    run: MachineRun,
    parameters: Parameters<NonNullable<SystemContract['genesis']>>[1],
  ): void;
}

const MAX_SCAN = 1_000;
const REVERT = { status: 400, title: 'Refused by the contract', fix: 'See docs/contracts.md.' };

/** Events live as long as their block. */
const eventBytes = new ByteArena();

function checkSize(what: string, bytes: Bytes, maxBytes: number): void {
  if (bytes.length > maxBytes)
    throw ledgerError('LEDGER_VALUE_LIMIT', `${what} of ${bytes.length} bytes, over ${maxBytes}`);
}

/** The state of one contract, metered. */
class FrameStorage implements ContractStorage {
  readonly #journal: StateJournal;
  readonly #meter: FuelMeter;
  readonly #contract: string;

  constructor({ journal, meter }: MachineRun, contract: string) {
    this.#journal = journal;
    this.#meter = meter;
    this.#contract = contract;
  }

  get(key: Bytes): Bytes | undefined {
    const value = this.#journal.get(this.#contract, key);
    this.#meter.charge(fuelOfGet(value === undefined ? 0 : value.length));
    return value;
  }

  put(key: Bytes, value: Bytes): void {
    checkSize('a key', key, MAX_KEY_BYTES);
    checkSize('a value', value, MAX_VALUE_BYTES);
    this.#meter.charge(fuelOfPut(key.length + value.length));
    this.#journal.put(this.#contract, key, value);
  }

  delete(key: Bytes): void {
    this.#meter.charge(FUEL.delete);
    this.#journal.delete(this.#contract, key);
  }

  scan(
    prefix: Bytes,
    { cursor, limit }: Parameters<ContractStorage['scan']>[1],
  ): readonly (readonly [Bytes, Bytes])[] {
    const count = Math.min(limit, MAX_SCAN);
    // Paid before it is done: the entries found cost their bytes on top.
    this.#meter.charge(FUEL.scan + FUEL.scanEntry * BigInt(Math.max(0, count)));
    const found = this.#journal.scan(this.#contract, prefix, cursor, count);
    let sizeBytes = 0;
    for (const [key, value] of found) sizeBytes += key.length + value.length;
    this.#meter.charge(FUEL.getByte * BigInt(sizeBytes));
    return found;
  }
}

class Frame implements Context {
  readonly caller: AccountId;
  readonly self: AccountId;
  readonly storage: Context['storage'];
  readonly #machine: FrameMachine;
  readonly #run: MachineRun;
  readonly #contract: string;
  /** Names of the contracts that are running, this one last. */
  readonly #stack: readonly string[];

  constructor(machine: FrameMachine, run: MachineRun, caller: AccountId, stack: readonly string[]) {
    this.#machine = machine;
    this.#run = run;
    this.#stack = stack;
    const name = stack[stack.length - 1] as string;
    this.#contract = name;
    this.caller = caller;
    this.self = machine.accountOf(name);
    this.storage = new FrameStorage(run, name);
  }

  get origin(): AccountId {
    return this.#run.origin;
  }

  get block(): BlockContext {
    return this.#run.block;
  }

  get transactionId(): string {
    return this.#run.transactionId;
  }

  charge(fuel: bigint): void {
    this.#run.meter.charge(fuel);
  }

  get fuelLeft(): bigint {
    const { limit, used } = this.#run.meter;
    return limit - used;
  }

  emit: Context['emit'] = (topic, codec, data) => {
    const { events, meter } = this.#run;
    const bytes = encodeWith(codec, data, eventBytes);
    meter.charge(fuelOfEvent(bytes.length));
    checkSize('an event', bytes, MAX_VALUE_BYTES);
    if (events.length >= MAX_EVENTS || topic.length > 64)
      throw ledgerError('LEDGER_VALUE_LIMIT', `more than ${MAX_EVENTS} events, or a long topic`);
    events.push({ contract: this.#contract, topic, data: bytes });
  };

  revert(code: string, message: string): never {
    throw new SeeleError(code, REVERT, message);
  }

  call: Context['call'] = (contract, method, args) =>
    this.#machine.enter(this.#run, this.self, this.#stack, contract, method, args);

  verify(publicKey: string, domain: string, message: Bytes, signature: Bytes): boolean {
    this.#run.meter.charge(FUEL.verify);
    return this.#machine.verifySignature(publicKey, domain, message, signature);
  }
}

class FrameMachine implements Machine {
  readonly contracts: ReadonlyMap<string, SystemContract>;
  readonly verifySignature: VerifySignature;
  readonly #accounts = new Map<string, AccountId>();
  readonly #user: UserFrames | undefined;

  constructor(
    contracts: readonly SystemContract[],
    verifySignature: VerifySignature,
    userContracts: UserContracts | undefined,
  ) {
    this.contracts = new Map(contracts.map((contract) => [contract.name, contract]));
    this.verifySignature = verifySignature;
    this.#user = userContracts && new UserFrames(this, userContracts);
    for (const { name } of contracts) this.#accounts.set(name, contractAccount(name));
  }

  accountOf(contract: string): AccountId {
    return this.#accounts.get(contract) ?? contractAccount(contract);
  }

  #method(contract: string, name: string): ContractMethod<unknown, unknown> {
    const methods = this.contracts.get(contract)?.methods;
    if (methods === undefined || !Object.hasOwn(methods, name))
      throw ledgerError('LEDGER_CONTRACT_UNKNOWN', `no method ${contract}.${name} on this chain`);
    return methods[name] as ContractMethod<unknown, unknown>;
  }

  #frame<R>(
    run: MachineRun,
    caller: AccountId,
    stack: readonly string[],
    body: (c: Context) => R,
  ): R {
    return this.undoable(run, () => body(new Frame(this, run, caller, stack)));
  }

  /** One frame: undone, with its events, when it throws. */
  undoable<R>(run: MachineRun, body: () => R): R {
    const checkpoint = run.journal.checkpoint();
    const eventCount = run.events.length;
    try {
      run.meter.charge(FUEL.call);
      const result = body();
      // A contract that swallowed the trap does not get away with it.
      if (run.meter.exhausted) run.meter.charge(0n);
      return result;
    } catch (error) {
      run.journal.revertTo(checkpoint);
      run.events.length = eventCount;
      throw error;
    }
  }

  /** A nested call. */
  enter<A, R>(
    run: MachineRun,
    caller: AccountId,
    stack: readonly string[],
    contract: string,
    method: ContractMethod<A, R>,
    args: A,
  ): R {
    if (stack.length >= MAX_CALL_DEPTH)
      throw ledgerError('LEDGER_CALL_DEPTH', `${contract}.${method.name} is called too deep`);
    if (stack.includes(contract))
      throw ledgerError('LEDGER_REENTRANT', `${contract} is running already`);
    const deployed = this.#method(contract, method.name);
    // Through CBOR and back, so that both sides see exactly what a transaction could have sent.
    const checked = deployed.args.fromCbor(method.args.toCbor(args, 'args'), 'args');
    const result = this.#frame(run, caller, [...stack, contract], (context) =>
      deployed.run(context, checked),
    );
    return method.returns.fromCbor(deployed.returns.toCbor(result, 'result'), 'result');
  }

  run(run: MachineRun, call: Call): CallOutcome {
    try {
      return { ok: true, result: this.invoke(run, run.origin, [], call) };
    } catch (error) {
      return { ok: false, ...failureOf(error, run.meter) };
    }
  }

  /** A call in its encoded form, of a system or a user contract. `stack`: the contracts running. */
  invoke(run: MachineRun, caller: AccountId, stack: readonly string[], call: Call): Bytes {
    const { contract } = call;
    if (stack.length >= MAX_CALL_DEPTH)
      throw ledgerError('LEDGER_CALL_DEPTH', `${contract} is called ${MAX_CALL_DEPTH} levels deep`);
    if (!this.contracts.has(contract) && this.#user)
      return this.#user.invoke(run, caller, stack, call);
    const method = this.#method(contract, call.method);
    if (stack.includes(contract))
      throw ledgerError('LEDGER_REENTRANT', `${contract} is running already`);
    if (call.value !== undefined && call.value > 0n)
      throw ledgerError('LEDGER_CALL_VALUE', `${contract} is a system contract`);
    const args =
      decodeDirectly(method.args, call.args) ?? method.args.fromCbor(decodeCbor(call.args), 'args');
    return this.#frame(run, caller, [...stack, contract], (context) =>
      encodeWith(method.returns, method.run(context, args)),
    );
  }

  runGenesis: Machine['runGenesis'] = (run, parameters) => {
    for (const contract of this.contracts.values())
      if (contract.genesis)
        this.#frame(run, this.accountOf(contract.name), [contract.name], (context) =>
          contract.genesis?.(context, parameters),
        );
  };
}

export function createMachine(options: {
  readonly contracts: readonly SystemContract[];
  readonly verifySignature: VerifySignature;
  /** Without it a chain has system contracts only. */
  readonly userContracts?: UserContracts;
}): Machine {
  return new FrameMachine(options.contracts, options.verifySignature, options.userContracts);
}
