/** How a dispute ends: whose money goes where, and what it says about the defender. */
import type { AccountId } from '#libs/kernel';
import type { Context } from '#libs/ledger';
import { done, emit, writeValue } from '../contract-kit.ts';
import { ORDERS_CONTRACT } from '../orders/state.ts';
import { viewMethods } from '../orders/views.ts';
import { outcomeOf, recordOutcome } from '../reputation/reputation.ts';
import { payTo } from '../token/token.ts';
import { countOpen, slashAmount, slashShare } from './bonds.ts';
import { type DisputeRuling, disputesEvents } from './events.ts';
import { type DisputeRecord, disputeRecord, disputesKeys, disputesSettings } from './state.ts';

const PER_MILLE = 1_000n;

interface Payments {
  readonly slashed: bigint;
  readonly toConsumer: bigint;
  readonly toDefender: bigint;
  readonly toChallenger: bigint;
  readonly toPanel: bigint;
}

/** What was paid for the delivery, or will be: nothing once the market took it back. */
function priceOf(context: Context, order: string): bigint {
  const { record } = context.call(ORDERS_CONTRACT, viewMethods.read, { order });
  const counts = record?.state === 'settled' || record?.state === 'delivered';
  return (counts && record.delivery?.charge) || 0n;
}

function paymentsOf(
  context: Context,
  dispute: DisputeRecord,
  ruling: DisputeRuling,
  hasPanel: boolean,
): Payments {
  const { order, defender, bond } = dispute;
  const nothing = { slashed: 0n, toConsumer: 0n, toDefender: 0n, toPanel: 0n, toChallenger: 0n };
  if (ruling === 'undecided') return { ...nothing, toChallenger: bond };
  const half = bond / 2n;
  if (ruling === 'defender')
    return { ...nothing, toDefender: half, toPanel: hasPanel ? bond - half : 0n };
  const { slashedPerMille, rewardPerMille } = disputesSettings.read(context.storage);
  // A delivery costs its provider once, however many prove it wrong.
  const isFirst = context.storage.get(disputesKeys.of(order)) === undefined;
  const slashed = isFirst ? slashShare(context, defender, slashedPerMille) : 0n;
  const price = isFirst ? priceOf(context, order) : 0n;
  const toConsumer = price < slashed ? price : slashed;
  const reward = ((slashed - toConsumer) * rewardPerMille) / PER_MILLE;
  if (ruling === 'neither')
    return { ...nothing, slashed, toConsumer, toPanel: hasPanel ? reward + half : 0n };
  const toPanel = hasPanel ? reward : 0n;
  return { ...nothing, slashed, toConsumer, toPanel, toChallenger: bond + reward };
}

/** Fines members that said nothing, or not what most found; returns those who are paid. */
function judgePanel(
  context: Context,
  { panel, phase }: DisputeRecord,
  ruling: DisputeRuling,
): AccountId[] {
  const { panelFine } = disputesSettings.read(context.storage);
  const paid: AccountId[] = [];
  for (const { account, finding } of panel) {
    countOpen(context, account, -1);
    if (phase === 'bisect') continue;
    if (finding === ruling) paid.push(account);
    else if (finding === undefined || ruling !== 'undecided')
      slashAmount(context, account, panelFine);
  }
  return paid;
}

/** Ends the dispute. What nobody gets stays with the contract, out of circulation. */
export function decide(
  context: Context,
  id: string,
  dispute: DisputeRecord,
  ruling: DisputeRuling,
): void {
  const { order, defender, challenger, consumer } = dispute;
  const paid = judgePanel(context, dispute, ruling);
  countOpen(context, defender, -1);
  const payments = paymentsOf(context, dispute, ruling, paid.length > 0);
  const { slashed, toConsumer, toDefender, toChallenger, toPanel } = payments;
  const isLost = ruling === 'challenger' || ruling === 'neither';
  if (isLost) writeValue(context.storage, disputesKeys.of(order), done, {});
  writeValue(context.storage, disputesKeys.dispute(id), disputeRecord, {
    ...dispute,
    ...{ phase: 'decided', ruling },
  });
  payTo(context, consumer, toConsumer);
  payTo(context, defender, toDefender);
  payTo(context, challenger, toChallenger);
  for (const account of paid) payTo(context, account, toPanel / BigInt(paid.length));
  emit(context, disputesEvents.decided, {
    ...{ dispute: id, order, defender, challenger, ruling },
    ...{ slashed, toConsumer, toChallenger, toPanel },
  });
  if (ruling === 'defender') recordOutcome(context, outcomeOf(defender, { disputesWon: 1 }));
  else if (isLost) recordOutcome(context, outcomeOf(defender, { disputesLost: 1 }));
}
