/**
 * Wrong results in orders of many tasks: three operators did one task of one manifest, each as a unit of a
 * batch, and one came to something else. A settled batch leaves no record, so each answer is what its
 * provider signed of the batch, with the unit's leaf and its proof under the signed root. The market that
 * gave the work to all three says which.
 */
import { accountOf } from '#libs/crypto';
import {
  type AccountId,
  type CodecValue,
  byteString,
  equalBytes,
  hash32,
  list,
  record,
  u64,
} from '#libs/kernel';
import { type Context, defineMethod } from '#libs/ledger';
import { logLeafHash, verifyInclusion } from '#libs/merkle';
import { demand } from '../errors.ts';
import {
  BATCH_DELIVERY_DOMAIN,
  batchDeliveryBytes,
  signedBatchDelivery,
} from '../orders/batch-documents.ts';
import type { OrderRecord } from '../orders/documents.ts';
import { ORDERS_CONTRACT } from '../orders/state.ts';
import {
  UNIT_LEAF_BYTES,
  type UnitResult,
  countUnits,
  decodeUnitLeaf,
  taskOfUnit,
  unitsOf,
} from '../orders/units.ts';
import { viewMethods } from '../orders/views.ts';
import { REPEATABLE, demandComparable, punish } from './convicting.ts';
import { disputesKeys, disputesSettings } from './state.ts';

/** A batch holds 200 units at most. */
const PROOF_MAX = 8;

/** What one provider signed of one unit. */
export const unitAnswer = record({
  delivery: signedBatchDelivery,
  /** The unit's leaf, and its proof under the root of the delivery (RFC 9162). */
  leaf: byteString(UNIT_LEAF_BYTES),
  proof: list(hash32, PROOF_MAX),
});
export type UnitAnswer = CodecValue<typeof unitAnswer>;

interface Shown {
  readonly record: OrderRecord;
  readonly provider: AccountId;
  readonly fence: number;
  readonly task: number;
  readonly result: UnitResult;
}

/** The leaf is of this delivery, and its provider signed that. */
function shownBy(context: Context, { delivery: signed, leaf, proof }: UnitAnswer): Shown {
  const { delivery, publicKey, signature } = signed;
  const { order, provider, fence, units, root } = delivery;
  const { record: found } = context.call(ORDERS_CONTRACT, viewMethods.read, { order });
  const tasks = found?.order.array?.tasks;
  if (!found || tasks === undefined || delivery.chain !== context.block.chain)
    return context.revert('DISPUTES_NOT_COMPARABLE', `order ${order} is not one of many tasks`);
  const result = decodeUnitLeaf(leaf);
  const at = result ? unitsOf(units).indexOf(result.unit) : -1;
  const isUnder = at >= 0 && verifyInclusion(logLeafHash(leaf), at, countUnits(units), proof, root);
  if (!result || !isUnder)
    return context.revert('DISPUTES_PROOF', `the leaf is not of batch ${fence} of ${order}`);
  demand(
    context,
    accountOf(publicKey) === provider &&
      context.verify(publicKey, BATCH_DELIVERY_DOMAIN, batchDeliveryBytes(delivery), signature),
    'DISPUTES_PROOF',
    `the delivery of batch ${fence} is not signed by ${provider}`,
  );
  demand(
    context,
    REPEATABLE.has(result.exit),
    'DISPUTES_NOT_COMPARABLE',
    `unit ${result.unit} of ${order} ended as ${result.exit}`,
  );
  return { record: found, provider, fence, task: taskOfUnit(result.unit, tasks), result };
}

const isSame = ({ result: a }: Shown, { result: b }: Shown): boolean =>
  a.exit === b.exit &&
  (a.output && b.output ? equalBytes(a.output, b.output) : a.output === b.output);

export const unitConvictingMethods = {
  /** The market of three orders of one manifest: two did a task with one result, the third with another. */
  convictUnits: defineMethod({
    name: 'convictUnits',
    args: record({ odd: unitAnswer, others: list(unitAnswer, 2) }),
    returns: record({ slashed: u64 }),
    run(context, { odd: given, others: two }) {
      demand(context, two.length === 2, 'DISPUTES_NOT_COMPARABLE', 'two others are wanted');
      const odd = shownBy(context, given);
      const others = two.map((one) => shownBy(context, one));
      demandComparable(context, [odd, ...others]);
      demand(
        context,
        others.every(({ task }) => task === odd.task),
        'DISPUTES_NOT_COMPARABLE',
        'the units are of different tasks',
      );
      const [first, second] = others as [Shown, Shown];
      demand(
        context,
        isSame(first, second) && !isSame(first, odd),
        'DISPUTES_SAME',
        'not two equal results and another one',
      );
      const { order } = given.delivery.delivery;
      const { provider, fence, record: before, result } = odd;
      const { windowUs } = disputesSettings.read(context.storage);
      const slashed = punish(context, {
        ...{ order, fence, provider, record: before, charge: result.charge },
        // When it was delivered no record says; by then it was.
        untilUs: before.order.completeByUs + Number(windowUs),
        key: disputesKeys.ofBatch(order, fence),
      });
      return { slashed };
    },
  }),
};
