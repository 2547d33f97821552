/** What the chain itself says was paid for tasks: the record against which a market's word is held. */
import { ordersEvents, readEvent, unitsOf, withoutUnits } from '#contracts';
import { decodeReceipt } from '#libs/ledger';
import { createNodeClient } from '#libs/sdk';

/** How often each unit of some orders was paid. */
export class PaidUnits {
  readonly #orders: ReadonlyMap<string, number>;
  readonly #times = new Map<string, number>();

  /** @param orders how many units each of them has */
  constructor(orders: ReadonlyMap<string, number>) {
    this.#orders = orders;
  }

  take(event: Parameters<typeof readEvent>[1]): void {
    const settled = readEvent(ordersEvents.unitsSettled, event);
    if (!settled || !this.#orders.has(settled.order)) return;
    for (const unit of unitsOf(withoutUnits(settled.units, settled.withheld ?? []))) {
      const key = `${settled.order}/${unit}`;
      this.#times.set(key, (this.#times.get(key) ?? 0) + 1);
    }
  }

  /** Units that were never paid. */
  get lost(): number {
    let lost = 0;
    for (const [order, units] of this.#orders)
      for (let unit = 0; unit < units; unit++) if (!this.#times.has(`${order}/${unit}`)) lost++;
    return lost;
  }

  /** Units that were paid more than once. */
  get paidTwice(): number {
    return [...this.#times.values()].filter((times) => times > 1).length;
  }
}

/** Reads the whole chain. */
export async function paidUnits(
  nodeUrl: string,
  orders: ReadonlyMap<string, number>,
): Promise<PaidUnits> {
  const node = createNodeClient(nodeUrl);
  const { height: head } = await node.status();
  const paid = new PaidUnits(orders);
  const stop = new AbortController();
  for await (const { height, receipts } of node.blocks(1, stop.signal)) {
    for (const event of receipts.flatMap((bytes) => decodeReceipt(bytes).events)) paid.take(event);
    if (height >= head) stop.abort();
  }
  return paid;
}
