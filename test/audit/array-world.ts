/** An order of many tasks in the world of receipts: batches of it delivered, one in part withheld, all paid. */
import {
  BATCH_DELIVERY_DOMAIN,
  type BatchDelivery,
  ORDER_DOMAIN,
  type Order,
  type UnitSet,
  auditKeys,
  batchDeliveryBytes,
  countUnits,
  encodeUnitLeaf,
  joinUnitLeaves,
  orderBytes,
  orderId,
  ordersCalls,
  ordersKeys,
  unitSetOf,
  unitsOf,
  unitsRoot,
  withoutUnits,
} from '#contracts';
import {
  type EventBatch,
  MARKET_ENTRIES,
  type MarketEntryKind,
  type PaidBatch,
  type ReceiptParts,
  createLogWriter,
  proveCheckpoints,
} from '#libs/audit';
import type { Signer } from '#libs/crypto';
import { type Codec, encodeCbor, encodeWith } from '#libs/kernel';
import type { ReceiptWorld } from './receipt-world.ts';

export const UNIT_PRICE = 1_000n;
const CID_BYTES = 36;

export interface ArrayOptions {
  readonly tasks: number;
  readonly replicas?: number;
  /** Units of one batch. */
  readonly batch: number;
  /** Of the first batch this many units are withheld, and done again in a batch of their own. */
  readonly withheld?: number;
}

/** What a unit came to: some fail, each charges another amount. */
function leafOf(unit: number, isFailed: boolean) {
  const usage = { cpuMs: unit % 100, wallMs: 5, peakMemoryBytes: 1 << 20, inputBytes: 9 };
  const charge = isFailed ? 0n : BigInt(100 + (unit % 7));
  const output = new Uint8Array(CID_BYTES).fill(1 + (unit % 200));
  const exit = isFailed ? 'crash' : unit % 10 === 9 ? 'guest-error' : 'ok';
  return encodeUnitLeaf({
    ...{ unit, exit, charge, usage: { ...usage, outputBytes: 3 } },
    ...(exit === 'ok' && { output }),
  });
}

const chargeOf = (unit: number): bigint => BigInt(100 + (unit % 7));

/** Runs it to its end and gathers the parts of its receipt. */
export async function runArray(world: ReceiptWorld, options: ArrayOptions): Promise<ReceiptParts> {
  const { tasks, replicas = 1, withheld = 0 } = options;
  const { consumer, market, chain, chainId } = world;
  const manifest = encodeCbor({ name: 'many', tasks });
  const terms = { tasks, replicas, unitPrice: UNIT_PRICE };
  const priceCap = UNIT_PRICE * BigInt(tasks * replicas);
  const order: Order = { ...world.newOrder(manifest), priceCap, array: terms };
  const id = orderId(order);
  const writer = createLogWriter(id);
  const log: EventBatch[] = [];
  const state = <K extends MarketEntryKind>(kind: K, data: object): void => {
    const codec = MARKET_ENTRIES[kind] as Codec<unknown>;
    writer.append({ kind, timeUs: world.tick(), data: encodeWith(codec, data) });
  };
  const signed = {
    ...{ order, publicKey: consumer.publicKey },
    signature: consumer.sign(ORDER_DOMAIN, orderBytes(order)),
  };
  const { manifest: cid, completeByUs } = order;
  state('accepted', { consumer: consumer.account, manifest: cid, priceCap, completeByUs });
  await world.submit(market, ordersCalls.place(signed));
  state('placed', { height: chain.head.header.height });
  const paid: PaidBatch[] = [];
  let fence = 0;

  const run = async (provider: Signer, units: UnitSet, failed: UnitSet): Promise<void> => {
    fence += 1;
    const unitPrice = UNIT_PRICE;
    const { account } = provider;
    const lease = fence.toString(16).padStart(64, '0');
    state('units-leased', { provider: account, fence, lease, units, unitPrice });
    await world.submit(
      market,
      ordersCalls.bindUnits({ order: id, fence, provider: account, unitPrice, units }),
    );
    const gone = new Set(unitsOf(failed));
    const leaves = unitsOf(units).map((unit) => leafOf(unit, gone.has(unit)));
    const kept = withoutUnits(units, failed);
    const charge = unitsOf(kept).reduce((sum, unit) => sum + chargeOf(unit), 0n);
    const root = unitsRoot(leaves);
    const delivery: BatchDelivery = {
      chain: chainId,
      order: id,
      provider: account,
      fence,
      units,
      root,
      charge,
    };
    const signature = provider.sign(BATCH_DELIVERY_DOMAIN, batchDeliveryBytes(delivery));
    const delivered = { delivery, publicKey: provider.publicKey, signature };
    await world.submit(market, ordersCalls.deliverUnits(delivered));
    state('units-delivered', { provider: account, fence, units: kept, root, charge });
    await world.submit(
      market,
      ordersCalls.settleUnits({
        ...{ order: id, fence },
        ...(failed.length > 0 && { withheld: { units: failed, charge: 0n } }),
      }),
    );
    const { height } = chain.head.header;
    const refunded = UNIT_PRICE * BigInt(countUnits(units)) - charge;
    state('units-settled', { provider: account, fence, height, paid: charge, refunded });
    paid.push({
      delivery: delivered,
      paidUnits: kept,
      paid: charge,
      leaves: joinUnitLeaves(leaves),
    });
  };

  const total = tasks * replicas;
  const lost = unitSetOf(Array.from({ length: withheld }, (_, i) => 1 + 2 * i));
  for (let from = 0; from < total; from += options.batch) {
    const units = [{ from, count: Math.min(options.batch, total - from) }];
    const provider = fence % 2 === 0 ? world.provider : world.otherProvider;
    await run(provider, units, from === 0 ? lost : []);
  }
  if (withheld > 0) await run(world.otherProvider, lost, []);
  await world.submit(market, ordersCalls.cancel({ order: id }));
  const sum = paid.reduce((all, batch) => all + batch.paid, 0n);
  const held = UNIT_PRICE * BigInt(total + withheld);
  const { height } = chain.head.header;
  state('settled', { height, provider: market.account, paid: sum, refunded: held - sum });
  for (let batch = writer.sign(market); batch; batch = writer.sign(market)) log.push(batch);
  const leaf = { index: world.addLeaf(id, writer.position), log: writer.position };
  await world.anchor();
  const proofs = proveCheckpoints(world.tree, [leaf], world.anchoredSizes);
  return {
    genesis: world.genesis,
    ...{ order: signed, manifest, batches: log, checkpoints: proofs.checkpoints },
    anchors: proofs.sizes.map((size) =>
      chain.prove('audit', auditKeys.anchor(market.account, size)),
    ),
    consistency: proofs.consistency,
    orderProof: chain.prove('orders', ordersKeys.order(id)),
    units: paid,
  };
}
