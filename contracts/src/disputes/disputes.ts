/**
 * Contract `disputes`: was a delivered result of a verifiable job right? Two claims of one run, each
 * with the root over its checkpoints, are narrowed to the first checkpoint on which they part, one
 * opened pair of checkpoints per round; who does not move in time loses. A panel of bonded operators
 * repeats the job up to there and decides. The loser's bond pays the consumer, the winner and the panel.
 */
import { encodeWith, equalBytes, hash32, record, uint } from '#libs/kernel';
import { type Context, type SystemContract, defineMethod } from '#libs/ledger';
import { type LogProof, logProof, verifyInclusion } from '#libs/merkle';
import { checkpointLeaf } from '#libs/vm';
import { callBuilders, done, emit } from '../contract-kit.ts';
import { demand } from '../errors.ts';
import type { OrderRecord } from '../orders/documents.ts';
import { ORDERS_CONTRACT } from '../orders/state.ts';
import { viewMethods } from '../orders/views.ts';
import { collectFrom } from '../token/token.ts';
import { bondMethods, countOpen } from './bonds.ts';
import { unitConvictingMethods } from './convicting-units.ts';
import { convictingMethods } from './convicting.ts';
import { decide } from './deciding.ts';
import { DISPUTES_CONTRACT, disputesEvents } from './events.ts';
import {
  callPanel,
  closePanelPhase,
  disputeOrRevert,
  panelMethods,
  writeDispute,
} from './panel.ts';
import {
  type DisputeRecord,
  type DisputedClaim,
  SIDES,
  type ShownCheckpoint,
  type Side,
  disputeId,
  disputedClaim,
  disputesKeys,
  disputesSettings,
  shownCheckpoint,
} from './state.ts';

const isSameClaim = (a: DisputedClaim, b: DisputedClaim): boolean =>
  equalBytes(encodeWith(disputedClaim, a), encodeWith(disputedClaim, b));

/** The claim in the delivery on record, while it can still be disputed. */
function defenceOf(context: Context, order: string): { before: OrderRecord; claim: DisputedClaim } {
  const { record: before } = context.call(ORDERS_CONTRACT, viewMethods.read, { order });
  const delivery = before?.delivery;
  const isThere = before?.state === 'delivered' || before?.state === 'settled';
  if (!before || !isThere || !delivery?.metered)
    return context.revert('DISPUTES_NOT_REPEATABLE', 'no delivery of a verifiable job counts here');
  const { windowUs } = disputesSettings.read(context.storage);
  const untilUs = (before.deliveredAtUs ?? 0) + Number(windowUs);
  demand(
    context,
    context.block.timeUs < untilUs,
    'DISPUTES_LATE',
    `it could be disputed until ${untilUs} µs`,
  );
  const { fuel, checkpoints, checkpointsRoot, outputChain, outputBytes } = delivery.metered;
  const { exit } = delivery;
  return {
    before,
    claim: { exit, fuel, checkpoints, checkpointsRoot, outputChain, outputBytes },
  };
}

const middleOf = ({ agreed, open }: DisputeRecord): number => (agreed + open) >>> 1;
const countOf = (dispute: DisputeRecord, side: Side): number =>
  (side === 'defender' ? dispute.defence : dispute.challenge).checkpoints;

/** Goes on by itself as long as nobody needs to show anything: a checkpoint that one lacks differs. */
function narrow(context: Context, id: string, before: DisputeRecord): void {
  let dispute = before;
  const least = Math.min(countOf(dispute, 'defender'), countOf(dispute, 'challenger'));
  while (dispute.agreed < dispute.open && middleOf(dispute) >= least)
    dispute = { ...dispute, open: middleOf(dispute) };
  if (dispute.agreed === dispute.open) return callPanel(context, id, dispute);
  const { moveUs } = disputesSettings.read(context.storage);
  writeDispute(context, id, { ...dispute, moveByUs: context.block.timeUs + Number(moveUs) });
}

const isSameCheckpoint = (a: ShownCheckpoint, b: ShownCheckpoint): boolean =>
  a.root === b.root && a.fuel === b.fuel && a.resumable === b.resumable;

function checkShown(
  context: Context,
  { checkpointsRoot, checkpoints }: DisputedClaim,
  index: number,
  checkpoint: ShownCheckpoint,
  proof: LogProof,
): void {
  const leaf = checkpointLeaf(checkpoint);
  demand(
    context,
    verifyInclusion(leaf, index, checkpoints, proof, checkpointsRoot),
    'DISPUTES_PROOF',
    `not checkpoint ${index} of the claim`,
  );
}

const gameMethods = {
  /** Anyone but the provider: doubts a delivery, says what the run comes to instead, puts a bond down. */
  open: defineMethod({
    name: 'open',
    args: record({ order: hash32, claim: disputedClaim }),
    returns: record({ dispute: hash32 }),
    run(context, { order, claim }) {
      const challenger = context.caller;
      const { before, claim: defence } = defenceOf(context, order);
      const defender = before.provider as string;
      demand(context, challenger !== defender, 'DISPUTES_NOT_PARTY', 'the provider claimed it');
      demand(context, !isSameClaim(claim, defence), 'DISPUTES_SAME', 'both claims are the same');
      const id = disputeId(order, challenger);
      const isNew = context.storage.get(disputesKeys.dispute(id)) === undefined;
      const isLost = context.storage.get(disputesKeys.of(order)) !== undefined;
      demand(context, isNew && !isLost, 'DISPUTES_EXISTS', `order ${order} was disputed`);
      const { challengeBond: bond } = disputesSettings.read(context.storage);
      if (bond > 0n) collectFrom(context, challenger, bond);
      countOpen(context, defender, 1);
      const { consumer } = before.order;
      emit(context, disputesEvents.opened, { dispute: id, order, defender, challenger, bond });
      narrow(context, id, {
        ...{ order, consumer, defender, challenger, defence, challenge: claim, bond },
        ...{ phase: 'bisect', agreed: 0, shown: {}, panel: [], moveByUs: 0 },
        open: Math.max(defence.checkpoints, claim.checkpoints),
      });
      return { dispute: id };
    },
  }),
  /** A side: the checkpoint in the middle, with its place under the root that the side claimed. */
  show: defineMethod({
    name: 'show',
    args: record({ dispute: hash32, index: uint(), checkpoint: shownCheckpoint, proof: logProof }),
    returns: done,
    run(context, { dispute: id, index, checkpoint, proof }) {
      const dispute = disputeOrRevert(context, id);
      const { phase, moveByUs, shown } = dispute;
      demand(context, phase === 'bisect', 'DISPUTES_PHASE', `the dispute is at ${phase}`);
      const side = SIDES.find((one) => dispute[one] === context.caller);
      if (!side) return context.revert('DISPUTES_NOT_PARTY', `${context.caller} is no side of it`);
      demand(context, context.block.timeUs < moveByUs, 'DISPUTES_LATE', `until ${moveByUs} µs`);
      const middle = middleOf(dispute);
      demand(context, index === middle, 'DISPUTES_PHASE', `checkpoint ${middle} is asked for`);
      demand(context, !shown[side], 'DISPUTES_MOVED', 'this side has shown it already');
      const claim = side === 'defender' ? dispute.defence : dispute.challenge;
      checkShown(context, claim, index, checkpoint, proof);
      const next = { ...shown, [side]: checkpoint };
      if (!next.defender || !next.challenger) {
        writeDispute(context, id, { ...dispute, shown: next });
        return {};
      }
      const range = isSameCheckpoint(next.defender, next.challenger)
        ? { agreed: middle + 1, open: dispute.open }
        : { agreed: dispute.agreed, open: middle };
      emit(context, disputesEvents.narrowed, { dispute: id, index, ...range });
      narrow(context, id, { ...dispute, ...range, shown: {} });
      return {};
    },
  }),
  /** Anyone, when the time for a move is over: who has not moved loses. */
  timeout: defineMethod({
    name: 'timeout',
    args: record({ dispute: hash32 }),
    returns: done,
    run(context, { dispute: id }) {
      const dispute = disputeOrRevert(context, id);
      const { phase, moveByUs, shown } = dispute;
      demand(context, phase !== 'decided', 'DISPUTES_PHASE', 'the dispute is decided');
      demand(context, context.block.timeUs >= moveByUs, 'DISPUTES_EARLY', `from ${moveByUs} µs on`);
      if (phase !== 'bisect') closePanelPhase(context, id, dispute);
      else if (shown.defender) decide(context, id, dispute, 'defender');
      else decide(context, id, dispute, shown.challenger ? 'challenger' : 'undecided');
      return {};
    },
  }),
};

export const disputesMethods = {
  ...bondMethods,
  ...gameMethods,
  ...panelMethods,
  ...convictingMethods,
  ...unitConvictingMethods,
};
export const disputesCalls = callBuilders(DISPUTES_CONTRACT, disputesMethods);
export const disputesContract: SystemContract = {
  name: DISPUTES_CONTRACT,
  methods: disputesMethods,
  genesis: (context, parameters) => disputesSettings.write(context, parameters),
};
