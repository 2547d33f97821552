/**
 * The last step of a dispute. One stretch between two checkpoints can burn more fuel than a block has,
 * and its inputs are not on the chain, so it is not run here: operators drawn from the bonded ones run
 * it (`settleDispute` of libs/vm) and say whose checkpoint they got, first as a hash, then openly, so
 * that nobody copies. What most of them found decides.
 */
import { hashOf } from '#libs/crypto';
import {
  type AccountId,
  type Bytes,
  bytesToHex,
  encodeWith,
  hash32,
  hexBytes,
  record,
  uint,
} from '#libs/kernel';
import { type Context, defineMethod } from '#libs/ledger';
import { done, emit, readValue, storageKey, writeValue } from '../contract-kit.ts';
import { demand } from '../errors.ts';
import { countOpen } from './bonds.ts';
import { decide } from './deciding.ts';
import { type DisputeRuling, disputesEvents } from './events.ts';
import {
  type DisputeRecord,
  type Finding,
  PANEL_MAX,
  type PanelMember,
  bondRecord,
  disputeRecord,
  disputesKeys,
  disputesSettings,
  finding,
} from './state.ts';

const SEAT_DOMAIN = 'seele/dispute-seat/1';
const FINDING_DOMAIN = 'seele/dispute-finding/1';
/** Bonded accounts looked at for one seat. */
const SEAT_SCAN = 32;
const PREFIX_BYTES = 5;

export function disputeOrRevert(context: Context, id: string): DisputeRecord {
  return (
    readValue(context.storage, disputesKeys.dispute(id), disputeRecord) ??
    context.revert('DISPUTES_UNKNOWN', `no dispute ${id}`)
  );
}

export function writeDispute(context: Context, id: string, dispute: DisputeRecord): void {
  writeValue(context.storage, disputesKeys.dispute(id), disputeRecord, dispute);
}

const seatOf = record({ parent: hash32, dispute: hash32, seat: uint() });
const findingOf = record({ dispute: hash32, account: hash32, finding, salt: hexBytes(32) });

/** What a member commits to before it says what it found. */
export const findingCommitment = (
  dispute: string,
  account: AccountId,
  found: Finding,
  salt: string,
): string =>
  hashOf(FINDING_DOMAIN, encodeWith(findingOf, { dispute, account, finding: found, salt }));

/** The first bonded account after a place that the last block's hash fixes, round the circle. */
function drawSeat(context: Context, id: string, seat: number, taken: Set<AccountId>) {
  const { panelBond } = disputesSettings.read(context.storage);
  const { parent } = context.block;
  const place = hashOf(SEAT_DOMAIN, encodeWith(seatOf, { parent, dispute: id, seat }));
  const from = (cursor: Bytes | undefined): AccountId | undefined => {
    const entries = context.storage.scan(disputesKeys.bonds, {
      limit: SEAT_SCAN,
      ...(cursor && { cursor }),
    });
    for (const [key] of entries) {
      const account = bytesToHex(key.subarray(PREFIX_BYTES));
      const { bonded } = readValue(context.storage, key, bondRecord) ?? { bonded: 0n };
      if (bonded >= panelBond && !taken.has(account)) return account;
    }
    return undefined;
  };
  return from(storageKey('bond/', place)) ?? from(undefined);
}

/** The first difference is found: who repeats the job? Without anybody, nothing is decided. */
export function callPanel(context: Context, id: string, dispute: DisputeRecord): void {
  const { defender, challenger, consumer, agreed } = dispute;
  const { panel: seats, panelUs } = disputesSettings.read(context.storage);
  const taken = new Set([defender, challenger, consumer]);
  const panel: PanelMember[] = [];
  for (let seat = 0; seat < Math.min(Number(seats), PANEL_MAX); seat++) {
    const account = drawSeat(context, id, seat, taken);
    if (account === undefined) break;
    taken.add(account);
    panel.push({ account });
    countOpen(context, account, 1);
  }
  emit(context, disputesEvents.drawn, { dispute: id, index: agreed, panel: panel.length });
  if (panel.length === 0) return decide(context, id, dispute, 'undecided');
  const moveByUs = context.block.timeUs + Number(panelUs);
  writeDispute(context, id, { ...dispute, phase: 'commit', panel, moveByUs });
}

/** The finding of more than half of the panel. */
function majorityOf(panel: readonly PanelMember[]): DisputeRuling {
  for (const candidate of ['defender', 'challenger', 'neither'] as const)
    if (2 * panel.filter((one) => one.finding === candidate).length > panel.length)
      return candidate;
  return 'undecided';
}

/** To the next phase: everybody has moved, or the time is over. */
export function closePanelPhase(context: Context, id: string, dispute: DisputeRecord): void {
  const { phase, panel } = dispute;
  const committed = panel.filter(({ commitment }) => commitment !== undefined);
  if (phase === 'reveal' || committed.length === 0)
    return decide(context, id, dispute, majorityOf(panel));
  const { panelUs } = disputesSettings.read(context.storage);
  const moveByUs = context.block.timeUs + Number(panelUs);
  writeDispute(context, id, { ...dispute, phase: 'reveal', moveByUs });
}

/** The caller's seat, while its phase lasts. */
function seatOrRevert(
  context: Context,
  dispute: DisputeRecord,
  phase: 'commit' | 'reveal',
): PanelMember {
  demand(context, dispute.phase === phase, 'DISPUTES_PHASE', `the dispute is at ${dispute.phase}`);
  const isInTime = context.block.timeUs < dispute.moveByUs;
  demand(context, isInTime, 'DISPUTES_LATE', `moves counted until ${dispute.moveByUs} µs`);
  return (
    dispute.panel.find(({ account }) => account === context.caller) ??
    context.revert('DISPUTES_NOT_PARTY', `${context.caller} is not on the panel`)
  );
}

function withSeat(dispute: DisputeRecord, seat: PanelMember): DisputeRecord {
  const panel = dispute.panel.map((one) => (one.account === seat.account ? seat : one));
  return { ...dispute, panel };
}

export const panelMethods = {
  /** A member of the panel: the hash of what it found. */
  commit: defineMethod({
    name: 'commit',
    args: record({ dispute: hash32, commitment: hash32 }),
    returns: done,
    run(context, { dispute: id, commitment }) {
      const dispute = disputeOrRevert(context, id);
      const seat = seatOrRevert(context, dispute, 'commit');
      demand(context, !seat.commitment, 'DISPUTES_MOVED', 'this member has committed already');
      const next = withSeat(dispute, { ...seat, commitment });
      writeDispute(context, id, next);
      if (next.panel.every((one) => one.commitment)) closePanelPhase(context, id, next);
      return {};
    },
  }),
  /** A member of the panel: what it found, as committed to. */
  reveal: defineMethod({
    name: 'reveal',
    args: record({ dispute: hash32, finding, salt: hexBytes(32) }),
    returns: done,
    run(context, { dispute: id, finding: found, salt }) {
      const dispute = disputeOrRevert(context, id);
      const seat = seatOrRevert(context, dispute, 'reveal');
      demand(context, !seat.finding, 'DISPUTES_MOVED', 'this member has said what it found');
      demand(
        context,
        seat.commitment === findingCommitment(id, seat.account, found, salt),
        'DISPUTES_COMMITMENT',
        'not what this member committed to',
      );
      const next = withSeat(dispute, { ...seat, finding: found });
      writeDispute(context, id, next);
      const isComplete = next.panel.every(
        (one) => one.finding !== undefined || one.commitment === undefined,
      );
      if (isComplete) closePanelPhase(context, id, next);
      return {};
    },
  }),
};
