/** Watches the deals that name this account as their repairer, and repairs what falls short. */
import { type DealRecord, dealsCalls } from '#contracts';
import type { AccountId } from '#libs/kernel';
import { type Logger, type NodeClient, declareFailpoints, failpoint } from '#libs/platform';
import type { KeyUnwrap } from '#libs/storage';
import { openDescriptor } from './descriptor.ts';
import { readStorageOffers } from './offer.ts';
import { type RepairParts, dealHealth, repairDeal, reportMissed } from './repair.ts';

declareFailpoints('deals.repair.before', 'deals.repair.after');

export interface RepairServiceParts extends Omit<RepairParts, 'signal'> {
  readonly account: AccountId;
  readonly node: NodeClient;
  readonly readers: readonly KeyUnwrap[];
  readonly logger: Logger;
  readonly pollMs: number;
}

export interface RepairStatus {
  readonly deals: number;
  readonly repaired: number;
  readonly problems: readonly string[];
}

export interface RepairService {
  status(): RepairStatus;
  round(): Promise<void>;
  start(): void;
  stop(): Promise<void>;
}

/** Who let an invitation pass is not asked again for so long. */
const REFUSED_MS = 600_000;

export function createRepairService(parts: RepairServiceParts): RepairService {
  const { reader, sender, account, node, clock, logger } = parts;
  const problems = new Map<string, string>();
  const refused = new Map<string, number>();
  const asked = new Map<string, string>();
  const stopping = new AbortController();
  let deals = 0;
  let repaired = 0;
  let running: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;

  /** Sets the challenge of the epoch if no provider does: a deal whose providers are all gone is seen. */
  async function challenge({ epochUs, endEpoch }: DealRecord): Promise<void> {
    const now = Math.floor(clock.nowUs() / epochUs);
    const latest = await reader.beacon(epochUs);
    if (now > endEpoch || (latest?.epoch ?? -1) >= now) return;
    await sender.send([[dealsCalls.tick({ epochUs })]]);
  }

  async function look(id: string): Promise<void> {
    const deal = await reader.deal(id);
    if (deal === undefined) return;
    if (Math.floor(clock.nowUs() / deal.epochUs) > deal.endEpoch) {
      if (deal.held === 0) await sender.send([[dealsCalls.close({ deal: id })]]);
      return;
    }
    await challenge(deal);
    const before = await reader.shards(id, deal.shards);
    const reported = await reportMissed(parts, id, deal, before);
    const shards = reported > 0 ? await reader.shards(id, deal.shards) : before;
    const health = dealHealth(deal, shards, clock.nowUs());
    for (const index of health.lost) {
      const who = asked.get(`${id}/${index}`);
      if (who !== undefined) refused.set(who, performance.now() + REFUSED_MS);
      asked.delete(`${id}/${index}`);
    }
    // A deal that never had all its shards is still being placed by its consumer.
    const isPlaced = shards.every(({ generation }) => generation > 0);
    if (!health.needsRepair || !isPlaced) return;
    const descriptor = await reader.descriptor(id);
    if (descriptor === undefined) return;
    const content = await openDescriptor(descriptor, parts.readers);
    failpoint('deals.repair.before');
    const offers = await readStorageOffers(node);
    for (const [who, untilMs] of refused) if (untilMs < performance.now()) refused.delete(who);
    const done = await repairDeal(
      { ...parts, signal: stopping.signal },
      ...([id, deal, shards, content, offers] as const),
      { refused: new Set(refused.keys()) },
    );
    failpoint('deals.repair.after');
    for (const { index, provider } of done) asked.set(`${id}/${index}`, provider);
    repaired += done.length;
    logger.info({ deal: id, shards: done }, 'lost shards go to other providers');
  }

  async function round(): Promise<void> {
    const all = await reader.repairsOf(account);
    deals = all.length;
    for (const id of all)
      try {
        if (stopping.signal.aborted) return;
        await look(id);
        problems.delete(id);
      } catch (error) {
        const text = (error as Error).message;
        if (problems.get(id) !== text) logger.warn({ deal: id, err: error }, 'not repaired yet');
        problems.set(id, text);
      }
  }

  return {
    status: () => ({
      ...{ deals, repaired },
      problems: [...problems].slice(0, 10).map(([id, why]) => `${id}: ${why}`),
    }),
    round,
    start() {
      const again = () => {
        timer = setTimeout(() => {
          running = round()
            .catch((error: unknown) => logger.debug({ err: error }, 'a look at deals failed'))
            .finally(() => {
              if (!stopping.signal.aborted) again();
            });
        }, parts.pollMs);
      };
      again();
    },
    async stop() {
      stopping.abort();
      clearTimeout(timer);
      await Promise.race([running, new Promise((resolve) => setTimeout(resolve, 1_000).unref())]);
    },
  };
}
