/**
 * Frames of user contracts. The engine behind the port runs the code; here is what surrounds it: who
 * pays what, where state lies, how money moves, what a failure undoes and burns.
 *
 * A user contract is known by its account; its state lies under the account's hex, which no system
 * contract is named. A revert undoes the frame and returns unused fuel; a trap undoes it and burns
 * what the frame was given. A failure of the host is never a result: it is thrown through.
 */
import { hashOf, sha256 } from '#libs/crypto';
import {
  type AccountId,
  type Bytes,
  decodeCbor,
  encodeCbor,
  isSeeleError,
  utf8,
} from '#libs/kernel';
import {
  type CallReply,
  type CallRequest,
  type ContractCall,
  type ContractFrame,
  type ContractHost,
  type ContractOutcome,
  ContractRevert,
} from '#libs/vm';
import { ledgerError } from './errors.ts';
import { FUEL, createFuelMeter } from './fuel.ts';
import {
  MAX_EVENTS,
  type MachineRun,
  UserFailure,
  type VerifySignature,
  failureOf,
} from './frames.ts';
import type { Call } from './transaction.ts';

/** Committed and running state, for reading. */
export interface StateView {
  get(contract: string, key: Bytes): Bytes | undefined;
}

export interface DeployedContract {
  readonly account: AccountId;
  /** Fuel of bringing its code into memory; the first call of a block pays it. */
  readonly loadFuel: bigint;
}

/** The port to whatever keeps and runs user contracts. */
export interface UserContracts<D extends DeployedContract = DeployedContract> {
  /** The contract that a call's text (account in hex, or a name) means; undefined when none is there. */
  find(state: StateView, contract: string): D | undefined;
  /** Runs one frame. @throws VM_HOST_FAULT when the host failed: not a result */
  run(state: StateView, contract: D, call: ContractCall): ContractOutcome;
  /** The call of a system contract that moves the caller's money. */
  payment(to: AccountId, amount: bigint): Call;
  /** Forgets everything loaded, after a failure of the host. */
  reset(): void;
}

/** Fuel around a user contract's own. */
export const USER_FUEL = {
  /** Finding what a call means: two reads. */
  find: 2n * FUEL.get,
  /** Restoring the contract's memory. */
  frame: 100_000n,
} as const;

/** Bytes by which one transaction may grow the state of user contracts. */
export const STATE_GROWTH_MAX_BYTES = 256 * 1024;

const SEED_DOMAIN = 'seele/frame-seed/1';
const ACCOUNT = /^[0-9a-f]{64}$/;
const CODE = /^[A-Z][A-Z0-9_]{0,63}$/;
const MESSAGE_MAX = 1_024;

/** What user frames need of the machine. */
export interface FrameRunner {
  readonly verifySignature: VerifySignature;
  undoable<R>(run: MachineRun, body: () => R): R;
  invoke(run: MachineRun, caller: AccountId, stack: readonly string[], call: Call): Bytes;
}

export class UserFrames {
  readonly #machine: FrameRunner;
  readonly #contracts: UserContracts;

  constructor(machine: FrameRunner, contracts: UserContracts) {
    this.#machine = machine;
    this.#contracts = contracts;
  }

  /** A call to a user contract, or a payment to an account. */
  invoke(run: MachineRun, caller: AccountId, stack: readonly string[], call: Call): Bytes {
    run.meter.charge(USER_FUEL.find);
    const found = this.#contracts.find(run.journal, call.contract);
    const account = found?.account ?? (ACCOUNT.test(call.contract) ? call.contract : undefined);
    if (account === undefined || (found === undefined && call.method !== ''))
      throw ledgerError('LEDGER_CONTRACT_UNKNOWN', `no contract ${call.contract} on this chain`);
    const value = call.value ?? 0n;
    if (found === undefined || call.method === '') return this.#pay(run, caller, account, value);
    if (stack.includes(account))
      throw ledgerError('LEDGER_REENTRANT', `${account} is running already`);
    if (!isArgumentList(call.args))
      throw ledgerError('LEDGER_CALL_ARGS', `${call.contract}.${call.method}: not a CBOR list`);
    return this.#frame(run, caller, [...stack, account], found, { ...call, value });
  }

  #pay(run: MachineRun, caller: AccountId, to: AccountId, value: bigint): Bytes {
    return this.#machine.invoke(run, caller, [], this.#contracts.payment(to, value));
  }

  #frame(
    run: MachineRun,
    caller: AccountId,
    stack: readonly string[],
    contract: DeployedContract,
    call: Call & { readonly value: bigint },
  ): Bytes {
    const { meter, journal, user } = run;
    const { account } = contract;
    const grownBefore = user.grownBytes;
    const outcome = this.#machine.undoable(run, () => {
      meter.charge(USER_FUEL.frame + (user.loads(account) ? contract.loadFuel : 0n));
      if (call.value > 0n) this.#pay(run, caller, account, call.value);
      const host = new LedgerHost(
        this.#machine,
        run,
        stack,
        this.#describe(run, caller, contract, call.value),
      );
      const { method, args } = call;
      const fuel = meter.limit - meter.used;
      try {
        const ended = this.#contracts.run(journal, contract, { method, args, fuel, host });
        meter.charge(ended.fuelUsed);
        if (ended.kind === 'returned') return ended;
        throw failureFrom(ended);
      } catch (error) {
        user.grownBytes = grownBefore;
        throw error;
      }
    });
    return outcome.data;
  }

  #describe(
    run: MachineRun,
    caller: AccountId,
    { account }: DeployedContract,
    value: bigint,
  ): ContractFrame {
    const { block, origin, transactionId, user } = run;
    const { chain, height, timeUs } = block;
    const frame = { chain, height, timeUs, caller, origin, self: account, value };
    const seed = hashOf(SEED_DOMAIN, encodeCbor([chain, height, transactionId, user.frames++]));
    return { ...frame, seed };
  }
}

function isArgumentList(args: Bytes): boolean {
  try {
    return Array.isArray(decodeCbor(args));
  } catch (error) {
    if (isSeeleError(error)) return false;
    throw error;
  }
}

/** Texts of traps are fixed: the engine's own words differ between versions of the host. */
function failureFrom(outcome: Exclude<ContractOutcome, { kind: 'returned' }>): UserFailure {
  if (outcome.kind === 'reverted') {
    const code = CODE.test(outcome.code) ? outcome.code : 'REVERTED';
    const message = outcome.message.slice(0, MESSAGE_MAX).toWellFormed();
    return new UserFailure({ status: 'reverted', code, message });
  }
  if (outcome.cause === 'out-of-fuel')
    return new UserFailure({
      status: 'trapped',
      code: 'LEDGER_OUT_OF_FUEL',
      message: 'the frame used up its fuel',
    });
  const message =
    outcome.cause === 'stack-overflow' ? 'calls nested too deep' : 'broke a rule of the engine';
  return new UserFailure({ status: 'trapped', code: 'LEDGER_GUEST_TRAP', message });
}

/** What a running user contract reaches of the ledger. Sizes and fuel are the engine's business. */
class LedgerHost implements ContractHost {
  readonly frame: ContractFrame;
  readonly #machine: FrameRunner;
  readonly #run: MachineRun;
  readonly #stack: readonly string[];
  readonly #self: AccountId;

  constructor(
    machine: FrameRunner,
    run: MachineRun,
    stack: readonly string[],
    frame: ContractFrame,
  ) {
    this.#machine = machine;
    this.#run = run;
    this.#stack = stack;
    this.frame = frame;
    this.#self = frame.self;
  }

  get(key: Bytes): Bytes | undefined {
    return this.#run.journal.get(this.#self, key);
  }

  put(key: Bytes, value: Bytes): void {
    const { journal, user } = this.#run;
    const before = journal.get(this.#self, key);
    user.grownBytes += value.length + (before ? -before.length : key.length);
    if (user.grownBytes > STATE_GROWTH_MAX_BYTES)
      throw new ContractRevert(
        'LEDGER_STATE_GROWTH',
        `one transaction may add ${STATE_GROWTH_MAX_BYTES} bytes of state`,
      );
    journal.put(this.#self, key, value);
  }

  delete(key: Bytes): void {
    const { journal, user } = this.#run;
    const before = journal.get(this.#self, key);
    if (before === undefined) return;
    user.grownBytes -= before.length + key.length;
    journal.delete(this.#self, key);
  }

  scan(prefix: Bytes, cursor: Bytes | undefined, limit: number) {
    return this.#run.journal.scan(this.#self, prefix, cursor, limit);
  }

  emit(topic: string, data: Bytes): void {
    const { events } = this.#run;
    if (events.length >= MAX_EVENTS)
      throw new ContractRevert('VM_EVENTS', `over ${MAX_EVENTS} events in one transaction`);
    if (utf8(topic).length > MAX_EVENTS) throw new ContractRevert('VM_TOPIC', 'topic too long');
    events.push({ contract: this.#self, topic, data });
  }

  sha256(data: Bytes): Bytes {
    return sha256(data);
  }

  verify(publicKey: string, domain: string, message: Bytes, signature: Bytes): boolean {
    return this.#machine.verifySignature(publicKey, domain, message, signature);
  }

  /** A nested frame on a tank of its own. */
  call({ contract, method, args, value, fuel }: CallRequest): CallReply {
    const meter = createFuelMeter(fuel);
    try {
      const call = { contract, method, args, value };
      const data = this.#machine.invoke({ ...this.#run, meter }, this.#self, this.#stack, call);
      return { kind: 'returned', data, fuelUsed: meter.used };
    } catch (error) {
      const { status, code, message } = failureOf(error, meter);
      if (status === 'trapped') meter.burnAll();
      return { kind: 'failed', code, message, fuelUsed: meter.used };
    }
  }
}
