/**
 * What markets had to have done again, counted from the blocks alone: the draws of every settled delivery that
 * could be audited, at the least chance there is, and the audits that their markets ordered.
 */
import { type UnitSet, disputesEvents, ordersEvents, orderId, readEvent } from '#contracts';
import type { Block, Receipt } from '#libs/ledger';
import { blockToEvent } from '../block-events.ts';
import { deliveryHash } from '../delivery-hash.ts';
import type { MarketEvent, OrderFact, UnitsFact } from '../model/events.ts';
import { AUDIT_LEAST, drawOf } from '../verification/index.ts';
import { auditSalt, isRepeatable } from './audit-subjects.ts';

type BlockEvent = Extract<MarketEvent, { kind: 'block' }>;

/** A delivery that its block drew. */
export interface Draw {
  readonly market: string;
  readonly order: string;
  /** Of a batch. */
  readonly fence?: number;
  readonly provider: string;
  readonly height: number;
  /** Below the least chance. */
  readonly draw: number;
  /** The market ordered the same from somebody else. */
  isOrdered: boolean;
}

interface Known {
  readonly market: string;
  readonly replicas: number | undefined;
  /** Of its last delivery, where that can be audited. */
  delivery?: string;
}

export interface DrawnInBlocks {
  /** Blocks in order, from the first one on. */
  follow(block: Block, receipts: readonly Receipt[]): void;
  /** Deliveries that were paid and could be audited. */
  readonly settled: number;
  readonly draws: readonly Draw[];
  /** Providers that were convicted. */
  readonly convicted: number;
}

/** @param least chance from which on a draw counts; whoever is not trusted is drawn more often */
export function createDraws(least: number = AUDIT_LEAST): DrawnInBlocks {
  const orders = new Map<string, Known>();
  const draws: Draw[] = [];
  const audits = new Set<string>();
  let [settled, convicted] = [0, 0];

  const placed = (market: string, { signed, order }: OrderFact): void => {
    if (!signed) return;
    const { consumer, salt, array } = signed.order;
    if (consumer === market) audits.add(`${market}/${salt}`);
    else if (orderId(signed.order) === order)
      orders.set(order, { market, replicas: array?.replicas });
  };
  const draw = (event: BlockEvent, fact: OrderFact | UnitsFact, delivery: string): void => {
    const { order, fence, provider = '' } = fact;
    const known = orders.get(order);
    if (!known) return;
    settled += 1;
    const drawn = drawOf('audit', { block: event.hash, delivery });
    if (drawn >= least) return;
    const subject = known.replicas === undefined ? {} : { fence };
    draws.push({
      ...{ market: known.market, order, provider, height: event.height, ...subject },
      ...{ draw: drawn, isOrdered: false },
    });
  };
  const take = (market: string, event: BlockEvent): void => {
    for (const fact of event.orders) {
      const known = orders.get(fact.order);
      const signed = fact.signedDelivery?.delivery;
      if (fact.event === 'placed') placed(market, fact);
      // Metered ones the market runs again itself.
      if (known && signed && !signed.metered && isRepeatable(signed.exit))
        known.delivery = deliveryHash(signed);
      if (fact.event === 'settled' && known?.delivery !== undefined)
        draw(event, fact, known.delivery);
    }
    for (const fact of event.units ?? [])
      if (fact.event === 'settled' && fact.delivery !== undefined && isPaid(fact.paidUnits))
        if (orders.get(fact.order)?.replicas === 1) draw(event, fact, fact.delivery);
  };
  return {
    follow(block, receipts) {
      for (const market of marketsIn(receipts))
        take(market, blockToEvent(block, receipts, { account: market, publicKey: '' }));
      for (const { events } of receipts)
        for (const event of events) if (readEvent(disputesEvents.convicted, event)) convicted += 1;
    },
    get settled() {
      return settled;
    },
    get draws() {
      for (const one of draws)
        one.isOrdered ||= audits.has(
          `${one.market}/${auditSalt({ id: one.order, ...(one.fence !== undefined && { fence: one.fence }) }, 0)}`,
        );
      return draws;
    },
    get convicted() {
      return convicted;
    },
  };
}

const isPaid = (units: UnitSet | undefined): boolean => units !== undefined && units.length > 0;

/** Markets that these receipts speak of. */
function marketsIn(receipts: readonly Receipt[]): ReadonlySet<string> {
  const { placed, delivered, settled, unitsSettled } = ordersEvents;
  const markets = new Set<string>();
  for (const { events } of receipts)
    for (const event of events)
      for (const kind of [placed, delivered, settled, unitsSettled]) {
        const data = readEvent<{ market: string }>(kind, event);
        if (data) markets.add(data.market);
      }
  return markets;
}
