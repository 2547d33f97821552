/** Checks of the batches of an order of many tasks: what was signed, what was paid, what the log says. */
import {
  BATCH_DELIVERY_DOMAIN,
  type ArrayRecord,
  type OrderRecord,
  type SettledBatch,
  type SignedBatchDelivery,
  type UnitResult,
  batchDeliveryBytes,
  batchDeliveryHash,
  countUnits,
  coversUnits,
  decodeUnitLeaf,
  orderId,
  settledHead,
  splitUnitLeaves,
  unitSetProblem,
  unitsOf,
  unitsRoot,
} from '#contracts';
import { type SignatureVerifier, accountOf } from '#libs/crypto';
import { formatAccount, formatAmount } from '#libs/kernel';
import { logLeafHash, verifyInclusion } from '#libs/merkle';
import { type Finding, failed, held, plural } from './finding.ts';
import { type LogReading, entriesOf } from './read-log.ts';
import { type PaidBatch, type TaskReceiptFile, settledOf } from './units.ts';

const ENDED: readonly string[] = ['settled', 'refunded', 'cancelled'];

/** Money of an order of many tasks: held batch by batch, nothing held any more. */
export function checkArrayMoney(record: OrderRecord, array: ArrayRecord): Finding {
  const { state, escrow, paid, refunded, order } = record;
  if (!ENDED.includes(state)) return failed(`the order has not ended: it is ${state}`);
  if (escrow !== 0n || array.open !== 0)
    return failed(
      `${formatAmount(escrow)} in ${array.open} batches is still held although it ended`,
    );
  if (paid > order.priceCap)
    return failed(`${formatAmount(paid)} was paid, above the cap ${formatAmount(order.priceCap)}`);
  if (state !== 'settled' && paid !== 0n)
    return failed(`${formatAmount(paid)} was paid although the order was ${state}`);
  return held(
    `of at most ${formatAmount(order.priceCap)}, ${formatAmount(paid)} was paid for ${plural(array.settled, 'unit')}; ${formatAmount(refunded)} that was held went back`,
  );
}

/** That the payments are those, all of those, that the order's record sums up. */
export function checkPayments(
  settled: readonly SettledBatch[],
  record: OrderRecord,
  array: ArrayRecord,
): Finding {
  const terms = record.order.array;
  if (!terms) return failed('the order is not one of many tasks');
  const seen = new Set<number>();
  let head: string | undefined;
  let paid = 0n;
  for (const batch of settled) {
    const { fence, units } = batch;
    const problem = unitSetProblem(units, terms.tasks * terms.replicas);
    if (problem !== undefined) return failed(`batch ${fence}: ${problem}`);
    for (const unit of unitsOf(units)) {
      if (seen.has(unit)) return failed(`unit ${unit} was paid twice`);
      seen.add(unit);
    }
    if (batch.paid > terms.unitPrice * BigInt(countUnits(units)))
      return failed(`batch ${fence} was paid above the price of its units`);
    head = settledHead(head, batch);
    paid += batch.paid;
  }
  if (head !== array.head)
    return failed('the payments in the file are not the ones that the chain’s record sums up');
  if (seen.size !== array.settled || paid !== record.paid)
    return failed(
      `${seen.size} units for ${formatAmount(paid)} in the file, ${array.settled} for ${formatAmount(record.paid)} on the chain`,
    );
  return held('');
}

/** That a batch's provider signed this about this order. */
function checkSignedBatch(
  { delivery, publicKey, signature }: SignedBatchDelivery,
  record: OrderRecord,
  verify: SignatureVerifier,
): Finding {
  const { fence } = delivery;
  if (delivery.order !== orderId(record.order) || delivery.chain !== record.order.chain)
    return failed(`the delivery of batch ${fence} is of another order`);
  if (accountOf(publicKey) !== delivery.provider)
    return failed(`the delivery of batch ${fence} is not signed by the provider it names`);
  return verify(publicKey, BATCH_DELIVERY_DOMAIN, batchDeliveryBytes(delivery), signature)
    ? held('')
    : failed(`the provider’s signature does not fit the delivery of batch ${fence}`);
}

/** That the leaves are the ones the delivery signs, one for each unit, and what was paid is their charge. */
function checkLeaves(batch: PaidBatch): Finding {
  const { delivery } = batch.delivery;
  const { fence } = delivery;
  const leaves = splitUnitLeaves(batch.leaves);
  const units = unitsOf(delivery.units);
  if (leaves?.length !== units.length)
    return failed(`batch ${fence} has not one leaf for each unit`);
  if (unitsRoot(leaves) !== delivery.root)
    return failed(`the leaves of batch ${fence} are not those its provider signed`);
  if (batch.paidUnits.length === 0 || !coversUnits(delivery.units, batch.paidUnits))
    return failed(`batch ${fence} was paid for units that were not delivered`);
  const isPaid = new Set(unitsOf(batch.paidUnits));
  let [charge, paid] = [0n, 0n];
  for (const [i, leaf] of leaves.entries()) {
    const result = decodeUnitLeaf(leaf);
    if (!result || result.unit !== units[i])
      return failed(`leaf ${i} of batch ${fence} is not one of unit ${units[i]}`);
    charge += result.charge;
    if (isPaid.has(result.unit)) paid += result.charge;
  }
  if (charge !== delivery.charge)
    return failed(`batch ${fence} charges ${delivery.charge}, its units say ${charge}`);
  return paid === batch.paid
    ? held('')
    : failed(`batch ${fence} was paid ${batch.paid}, its paid units charge ${paid}`);
}

/** That the log tells the same of it: leased to that provider, accepted, paid. */
function checkLogOfBatch(
  { delivery: { delivery }, paidUnits, paid }: PaidBatch,
  told: ReturnType<typeof toldByLog>,
): Finding {
  const { fence, provider, root } = delivery;
  const leased = told.leased.get(fence);
  if (leased?.provider !== provider || !coversUnits(leased.units, paidUnits))
    return failed(`no lease in the log gave batch ${fence} to the provider that was paid`);
  const accepted = told.delivered.get(fence);
  if (accepted?.provider !== provider || accepted.root !== root)
    return failed(`the log accepts another delivery of batch ${fence} than the one signed`);
  const settled = told.settled.get(fence);
  return settled?.provider === provider && settled.paid === paid
    ? held('')
    : failed(`the log states another payment of batch ${fence} than the chain`);
}

function toldByLog(log: LogReading) {
  const byFence = <T extends { readonly data: { readonly fence: number } }>(
    entries: readonly T[],
  ) => new Map(entries.map(({ data }) => [data.fence, data as T['data']] as const));
  return {
    leased: byFence(entriesOf(log, 'units-leased')),
    delivered: byFence(entriesOf(log, 'units-delivered')),
    settled: byFence(entriesOf(log, 'units-settled')),
  };
}

/** Every batch of a receipt of many tasks. */
export function checkBatches(
  batches: readonly PaidBatch[] | undefined,
  record: OrderRecord,
  array: ArrayRecord,
  log: LogReading,
  verify: SignatureVerifier,
): Finding {
  if (!batches) return failed('the file leaves out the batches of an order of many tasks');
  const told = toldByLog(log);
  for (const batch of batches)
    for (const check of [
      () => checkSignedBatch(batch.delivery, record, verify),
      () => checkLeaves(batch),
      () => checkLogOfBatch(batch, told),
    ]) {
      const finding = check();
      if (!finding.ok) return finding;
    }
  const payments = checkPayments(batches.map(settledOf), record, array);
  if (!payments.ok) return payments;
  const providers = new Set(batches.map(({ delivery }) => delivery.delivery.provider)).size;
  return held(
    `${plural(array.settled, 'unit')} in ${plural(batches.length, 'batch', 'batches')}, each signed by its provider (${plural(providers, 'provider')}) with a leaf for every unit; they are all that the chain paid`,
  );
}

/** The units of a task's receipt: in words what they came to. */
export function checkTaskUnits(
  file: TaskReceiptFile,
  record: OrderRecord,
  array: ArrayRecord,
  verify: SignatureVerifier,
): Finding {
  const payments = checkPayments(file.settled, record, array);
  if (!payments.ok) return payments;
  const tasks = record.order.array?.tasks ?? 0;
  const words: string[] = [];
  let last = -1;
  for (const unit of file.units) {
    const settled = file.settled[unit.settled];
    const signed = checkSignedBatch(unit.delivery, record, verify);
    if (!signed.ok) return signed;
    const { delivery } = unit.delivery;
    if (settled?.delivery !== batchDeliveryHash(delivery))
      return failed(`the chain did not pay out of the delivery of batch ${delivery.fence}`);
    const result = readLeaf(unit, delivery);
    if (!result) return failed(`the leaf is not in the delivery of batch ${delivery.fence}`);
    if (result.unit % tasks !== file.task || !unitsOf(settled.units).includes(result.unit))
      return failed(`unit ${result.unit} is of another task, or was not paid`);
    if (result.unit <= last) return failed(`unit ${result.unit} is there twice`);
    last = result.unit;
    words.push(
      `exit ${result.exit}, charged ${formatAmount(result.charge)}, signed by ${formatAccount(delivery.provider)}`,
    );
  }
  if (words.length === 0) return failed('the file shows nothing of the task');
  return held(
    `task ${file.task} of ${tasks}: ${words.join('; ')}; among the payments of the chain`,
  );
}

type PaidUnit = TaskReceiptFile['units'][number];

function readLeaf(
  { leaf, index, proof }: PaidUnit,
  { units, root }: SignedBatchDelivery['delivery'],
): UnitResult | undefined {
  const all = unitsOf(units);
  const result = decodeUnitLeaf(leaf);
  const isThere = verifyInclusion(logLeafHash(leaf), index, all.length, proof, root);
  return isThere && result?.unit === all[index] ? result : undefined;
}
