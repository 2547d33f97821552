/**
 * A bench for contracts: calls methods directly over a journal, with no signatures, blocks or disk,
 * fast enough for property tests. What it runs is the machine that the chain runs.
 */
import { hashOf, sha256Hex } from '#libs/crypto';
import { crossesEra } from '#libs/eda';
import { type AccountId, type Bytes, decodeWith, encodeWith, invariant, utf8 } from '#libs/kernel';
import type { LedgerEvent } from './block.ts';
import type { ContractMethod, GenesisParameters, SystemContract } from './contract.ts';
import { moneyCreated } from './execute-block.ts';
import type { FeePort } from './fees.ts';
import { createFuelMeter } from './fuel.ts';
import { createStateJournal } from './journal.ts';
import type { CallFailure, VerifySignature } from './frames.ts';
import { createMachine } from './machine.ts';
import type { Call } from './transaction.ts';
import { createMemoryState } from './memory-state.ts';
import { UserRun } from './frames.ts';
import type { UserContracts } from './user-frames.ts';

export interface HarnessOptions {
  readonly contracts: readonly SystemContract[];
  readonly parameters?: GenesisParameters;
  /** When given, every successful call is checked to conserve money. */
  readonly fees?: FeePort;
  readonly verifySignature?: VerifySignature;
  readonly timeUs?: number;
  /** Length of an era: without it, the era is 0 for ever. */
  readonly eraUs?: number;
  readonly fuelLimit?: bigint;
  /** User contracts run, when given. */
  readonly userContracts?: UserContracts;
}

export type HarnessOutcome<R> = {
  readonly fuelUsed: bigint;
  readonly events: readonly LedgerEvent[];
} & ({ readonly ok: true; readonly value: R } | ({ readonly ok: false } & CallFailure));

export interface ContractHarness {
  /** Genesis id that contracts see. */
  readonly chain: string;
  readonly height: number;
  readonly timeUs: number;
  /** Era of consensus, which one call after idleness moves by one. */
  readonly era: number;
  /** Calls `contract.method` as a transaction of `origin`; each call is a block of its own. */
  call<A, R>(
    origin: AccountId,
    contract: string,
    method: ContractMethod<A, R>,
    args: A,
  ): HarnessOutcome<R>;
  /** Calls in encoded form, as one transaction of `origin`: all or nothing. */
  execute(origin: AccountId, calls: readonly Call[]): HarnessOutcome<readonly Bytes[]>;
  /** Moves block time forward. */
  advance(us: number): void;
  get(contract: string, key: Bytes): Bytes | undefined;
  scan(contract: string, prefix?: Bytes): readonly (readonly [key: Bytes, value: Bytes])[];
}

const HARNESS_TIME_US = 1_700_000_000_000_000;

/**
 * @example
 * const harness = createContractHarness({ contracts: [token], parameters });
 * const outcome = harness.call(alice, 'token', transfer, { to: bob, amount: 5n });
 * if (!outcome.ok) outcome.code; // 'TOKEN_BALANCE_TOO_LOW'
 */
export function createContractHarness(options: HarnessOptions): ContractHarness {
  const machine = createMachine({
    contracts: options.contracts,
    verifySignature: options.verifySignature ?? (() => false),
    ...(options.userContracts && { userContracts: options.userContracts }),
  });
  const state = createMemoryState();
  const chain = hashOf('seele/harness/1', utf8('chain'));
  let height = 0;
  let timeUs = options.timeUs ?? HARNESS_TIME_US;
  const { eraUs = Number.POSITIVE_INFINITY } = options;
  let era = Math.floor(timeUs / eraUs);
  /** Time of the block before. */
  let parentTimeUs = timeUs;
  let calls = 0;

  const runOf = (origin: AccountId, fuelLimit: bigint) => ({
    journal: createStateJournal(state),
    meter: createFuelMeter(fuelLimit),
    block: { chain, height, parent: sha256Hex(utf8(`block ${height - 1}`)), timeUs, era },
    origin,
    transactionId: sha256Hex(utf8(`transaction ${calls++}`)),
    events: [] as LedgerEvent[],
    user: new UserRun(),
  });

  const genesisRun = runOf('00'.repeat(32), 1n << 62n);
  machine.runGenesis(genesisRun, options.parameters ?? { allocations: [], settings: [] });
  state.apply(genesisRun.journal.changes());

  const execute = (origin: AccountId, calls: readonly Call[]): HarnessOutcome<readonly Bytes[]> => {
    height++;
    if (crossesEra(parentTimeUs, timeUs, eraUs)) era++;
    parentTimeUs = timeUs;
    const run = runOf(origin, options.fuelLimit ?? 100_000_000n);
    const checkpoint = run.journal.checkpoint();
    const value: Bytes[] = [];
    for (const call of calls) {
      const what = `${call.contract}.${call.method}`;
      const outcome = machine.run(run, call);
      if (!outcome.ok) {
        run.journal.revertTo(checkpoint);
        if (outcome.status === 'trapped') run.meter.burnAll();
        invariant(run.journal.changes().length === 0, `${what} left changes after a failure`);
        return { ...outcome, fuelUsed: run.meter.used, events: [] };
      }
      value.push(outcome.result);
    }
    const changes = run.journal.changes();
    if (options.fees) {
      const created = moneyCreated(options.fees, changes);
      invariant(created === 0n, `${created} units of money would be created`);
    }
    state.apply(changes);
    return { ok: true, value, fuelUsed: run.meter.used, events: run.events };
  };

  return {
    chain,
    get height() {
      return height;
    },
    get timeUs() {
      return timeUs;
    },
    get era() {
      return era;
    },
    call(origin, contract, method, args) {
      const call = { contract, method: method.name, args: encodeWith(method.args, args) };
      const outcome = execute(origin, [call]);
      if (!outcome.ok) return outcome;
      return { ...outcome, value: decodeWith(method.returns, outcome.value[0] as Bytes) };
    },
    execute,
    advance(us) {
      invariant(us >= 0, 'block time never goes back');
      timeUs += us;
    },
    get: (contract, key) => state.get(contract, key),
    scan: (contract, prefix = new Uint8Array()) => [...state.scan(contract, prefix, undefined)],
  };
}
