/**
 * Contract `reputation`: what became of a provider's work, counted by the contracts that moved the
 * money. Nobody else writes here, and the counters follow from the events of `orders` and `disputes`
 * alone, so anyone who has the blocks computes them again (`outcomesOf`).
 *
 * State: `provider/<account, 32 bytes>` → `reputationRecord`.
 */
import { contractAccount } from '#libs/crypto';
import {
  AMOUNT_MAX,
  type AccountId,
  type Bytes,
  type CodecValue,
  hash32,
  record,
  u64,
  uint,
  utf8,
} from '#libs/kernel';
import { type Context, type SystemContract, defineMethod } from '#libs/ledger';
import { done, readValue, storageKey, writeValue } from '../contract-kit.ts';
import { demand } from '../errors.ts';

export const REPUTATION_CONTRACT = 'reputation';

/** One outcome, or the sum of all. Units are tasks; an order of one task is one unit. */
const counters = {
  /** Units paid for. */
  settled: uint(),
  /** Units delivered and not accepted. */
  rejected: uint(),
  disputesWon: uint(),
  disputesLost: uint(),
  /** What it was paid, smallest units; stays at the largest amount once there. */
  paid: u64,
};
export const outcome = record({ provider: hash32, ...counters });
export type Outcome = CodecValue<typeof outcome>;

export const reputationRecord = record({
  ...counters,
  /** Block times of the first and the latest outcome (µs). */
  firstUs: uint(),
  lastUs: uint(),
});
export type ReputationRecord = CodecValue<typeof reputationRecord>;

export const reputationKeys = {
  /** → `reputationRecord` */
  provider: (account: AccountId): Bytes => storageKey('provider/', account),
  providers: utf8('provider/'),
};

const NOTHING = { settled: 0, rejected: 0, disputesWon: 0, disputesLost: 0, paid: 0n };

/** An outcome of which only the given counters are not zero. */
export const outcomeOf = (
  provider: AccountId,
  given: Partial<Omit<Outcome, 'provider'>>,
): Outcome => ({ provider, ...NOTHING, ...given });

/** The record after one more outcome: the one rule for the contract and for whoever checks it. */
export function addOutcome(
  before: ReputationRecord | undefined,
  added: Outcome,
  timeUs: number,
): ReputationRecord {
  const { settled, rejected, disputesWon, disputesLost, paid, firstUs } = before ?? {
    ...NOTHING,
    firstUs: timeUs,
  };
  const sum = paid + added.paid;
  return {
    settled: settled + added.settled,
    rejected: rejected + added.rejected,
    disputesWon: disputesWon + added.disputesWon,
    disputesLost: disputesLost + added.disputesLost,
    paid: sum < AMOUNT_MAX ? sum : AMOUNT_MAX,
    ...{ firstUs, lastUs: timeUs },
  };
}

/** A lost dispute is proof of a wrong result and weighs as much as so many rejected units. */
export const LOST_DISPUTE_WEIGHT = 100;

/**
 * Score in thousandths: the chance that the next unit is good by Laplace's rule of succession,
 * (good + 1) / (good + bad + 2). Somebody unknown has 500.
 */
export function reputationScore(
  value: Pick<ReputationRecord, 'settled' | 'rejected' | 'disputesLost'> | undefined,
): number {
  const good = value?.settled ?? 0;
  const bad = (value?.rejected ?? 0) + LOST_DISPUTE_WEIGHT * (value?.disputesLost ?? 0);
  return Math.floor((1000 * (good + 1)) / (good + bad + 2));
}

/** The contracts whose word counts. */
const WRITERS: ReadonlySet<AccountId> = new Set(['orders', 'disputes'].map(contractAccount));

export const reputationMethods = {
  /** Contracts `orders` and `disputes` only: counts one outcome. */
  record: defineMethod({
    name: 'record',
    args: outcome,
    returns: done,
    run(context, added) {
      demand(
        context,
        WRITERS.has(context.caller),
        'REPUTATION_NOT_WRITER',
        `${context.caller} is no contract that pays providers`,
      );
      const key = reputationKeys.provider(added.provider);
      const before = readValue(context.storage, key, reputationRecord);
      const next = addOutcome(before, added, context.block.timeUs);
      writeValue(context.storage, key, reputationRecord, next);
      return {};
    },
  }),
};

export const reputationContract: SystemContract = {
  name: REPUTATION_CONTRACT,
  methods: reputationMethods,
};

/** For the contracts that write: counts what became of this provider's work; nothing is no call. */
export function recordOutcome(context: Context, added: Outcome): void {
  const { settled, rejected, disputesWon, disputesLost } = added;
  if (settled + rejected + disputesWon + disputesLost === 0) return;
  context.call(REPUTATION_CONTRACT, reputationMethods.record, added);
}
