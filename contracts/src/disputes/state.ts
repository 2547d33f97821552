/**
 * What contract `disputes` keeps: bonds of providers, disputes and their panels.
 *
 * State: `bond/<account>` → `bondRecord`; `unbonding/<account><time, 8 bytes>` → `unbondingRecord`;
 * `dispute/<id>` → `disputeRecord`; `of/<order>` → there once its delivery was proven wrong,
 * `of/<order><fence, 8 bytes>` once a unit of that batch was.
 */
import { hashOf } from '#libs/crypto';
import {
  type AccountId,
  type Bytes,
  type CodecValue,
  bool,
  concatBytes,
  encodeWith,
  hash32,
  list,
  oneOf,
  optional,
  record,
  u64,
  uint,
  utf8,
} from '#libs/kernel';
import type { Context } from '#libs/ledger';
import { defineSettings, numberKey, readValue, storageKey, writeValue } from '../contract-kit.ts';
import { exitClass } from '../orders/documents.ts';
import { DISPUTES_CONTRACT, ruling } from './events.ts';

const ID_DOMAIN = 'seele/dispute/1';
export const PANEL_MAX = 15;
/** Unbonding amounts of one account at once: all of them can be slashed in one transaction. */
export const UNBONDINGS_MAX = 32;
const CHECKPOINTS_MAX = 4_096;

export const bondRecord = record({
  /** Bonded and not asked back. */
  bonded: u64,
  /** Disputes in which it is defender or on the panel and that are not decided. */
  open: uint(),
});
export type BondRecord = CodecValue<typeof bondRecord>;

export const unbondingRecord = record({ amount: u64, releasedAtUs: uint() });
export type UnbondingRecord = CodecValue<typeof unbondingRecord>;

/** What one side says the run comes to: `JobClaim` of libs/vm with the root in place of checkpoints. */
export const disputedClaim = record({
  exit: exitClass,
  fuel: u64,
  checkpoints: uint(CHECKPOINTS_MAX),
  checkpointsRoot: hash32,
  outputChain: hash32,
  outputBytes: uint(),
});
export type DisputedClaim = CodecValue<typeof disputedClaim>;

/** One checkpoint, as `libs/vm` takes it. */
export const shownCheckpoint = record({ fuel: u64, root: hash32, resumable: bool });
export type ShownCheckpoint = CodecValue<typeof shownCheckpoint>;

export const SIDES = ['defender', 'challenger'] as const;
export type Side = (typeof SIDES)[number];

/** What a member of the panel finds. */
export const finding = oneOf('defender', 'challenger', 'neither');
export type Finding = CodecValue<typeof finding>;

const member = record({
  account: hash32,
  /** Hash of its finding and a salt. */
  commitment: optional(hash32),
  finding: optional(finding),
});
export type PanelMember = CodecValue<typeof member>;

export const disputeRecord = record({
  order: hash32,
  consumer: hash32,
  /** The provider whose delivery is doubted. */
  defender: hash32,
  challenger: hash32,
  defence: disputedClaim,
  challenge: disputedClaim,
  /** What the challenger put down. */
  bond: u64,
  /** `bisect`: sides show checkpoints; `commit`, `reveal`: the panel says what it found. */
  phase: oneOf('bisect', 'commit', 'reveal', 'decided'),
  /** Checkpoints below `agreed` are the same; the first difference is at or below `open`. */
  agreed: uint(),
  open: uint(),
  shown: record({ defender: optional(shownCheckpoint), challenger: optional(shownCheckpoint) }),
  panel: list(member, PANEL_MAX),
  /** Whoever has not moved by then loses by it (µs). */
  moveByUs: uint(),
  ruling: optional(ruling),
});
export type DisputeRecord = CodecValue<typeof disputeRecord>;

export const disputesKeys = {
  /** → `bondRecord` */
  bond: (account: AccountId): Bytes => storageKey('bond/', account),
  bonds: utf8('bond/'),
  /** → `unbondingRecord` */
  unbonding: (account: AccountId, releasedAtUs: number): Bytes =>
    concatBytes(storageKey('unbonding/', account), numberKey(releasedAtUs)),
  unbondings: (account: AccountId): Bytes => storageKey('unbonding/', account),
  /** → `disputeRecord` */
  dispute: (id: string): Bytes => storageKey('dispute/', id),
  disputes: utf8('dispute/'),
  /** There once the order's delivery was proven wrong. */
  of: (order: string): Bytes => storageKey('of/', order),
  /** There once a unit of the batch was. */
  ofBatch: (order: string, fence: number): Bytes =>
    concatBytes(storageKey('of/', order), numberKey(fence)),
};

const HOUR_US = 3_600_000_000n;

export const disputesSettings = defineSettings(DISPUTES_CONTRACT, {
  /** From a delivery until nobody can dispute it any more. */
  windowUs: 24n * HOUR_US,
  /** From asking for a bond until it can be taken; longer than window and dispute together. */
  unbondingUs: 14n * 24n * HOUR_US,
  /** Time for each move of a side. */
  moveUs: HOUR_US / 6n,
  /** Time for the panel to repeat the job, and then to say what it found. */
  panelUs: 2n * HOUR_US,
  /** What opening a dispute costs until it is won. */
  challengeBond: 1_000_000_000n,
  /** Operators that repeat the job. */
  panel: 3n,
  /** Least bond of a member of a panel. */
  panelBond: 5_000_000_000n,
  /** What a member loses that says nothing, or not what most found. */
  panelFine: 500_000_000n,
  /** Share of the loser's bond, in thousandths, that a proven wrong result costs. */
  slashedPerMille: 500n,
  /** Share of what is left of it after the refund, in thousandths: to the challenger, and to the panel. */
  rewardPerMille: 200n,
});

export const readBond = ({ storage }: Context, account: AccountId): BondRecord =>
  readValue(storage, disputesKeys.bond(account), bondRecord) ?? { bonded: 0n, open: 0 };

export function writeBond({ storage }: Context, account: AccountId, next: BondRecord): void {
  const key = disputesKeys.bond(account);
  if (next.bonded === 0n && next.open === 0) storage.delete(key);
  else writeValue(storage, key, bondRecord, next);
}

export const disputeId = (order: string, challenger: AccountId): string =>
  hashOf(
    ID_DOMAIN,
    encodeWith(record({ order: hash32, challenger: hash32 }), { order, challenger }),
  );
