/** For tests: a market with one key each for everybody, and a driver that applies events in order. */
import { ORDER_DOMAIN, type Order, type SignedOrder, orderBytes } from '#contracts';
import { type Signer, keyedHashSigner, keyedHashVerifier, sha256, sha256Hex } from '#libs/crypto';
import { createSeededRandomness, utf8 } from '#libs/kernel';
import type { AgentMessage, ProviderOffer } from '../agent-protocol.ts';
import { applyEvent } from '../apply.ts';
import { DEFAULT_JOB_LIMITS, type Manifest, manifestCid } from '../manifest.ts';
import { DEFAULT_MARKET_CAPS, DEFAULT_MARKET_TIMES, type MarketConfig } from '../model/config.ts';
import type { MarketEffect, Reply } from '../model/effects.ts';
import type { MarketEvent, OrderFact } from '../model/events.ts';
import type { StoredRow } from '../model/rows.ts';
import { restoreMarket } from '../restore.ts';
import type { Market } from '../state.ts';

const SECRET = utf8('a secret of tests');
const START_US = 1_800_000_000_000_000;
const GIB = 2 ** 30;
/** CID of nothing in particular. */
export const SOME_CID = 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku';
export const CHAIN = '11'.repeat(32);
/** Of the block at this height. */
export const blockHash = (height: number): string => sha256Hex(utf8(`block ${height}`));

export const signerOf = (name: string): Signer => keyedHashSigner(SECRET, sha256(utf8(name)));
export const verify = keyedHashVerifier(SECRET);

export function configOf(change: Partial<MarketConfig> = {}): MarketConfig {
  return {
    chain: CHAIN,
    signer: signerOf('market'),
    verify,
    times: DEFAULT_MARKET_TIMES,
    caps: DEFAULT_MARKET_CAPS,
    fuelLimit: 5_000_000n,
    fuelPrice: 1n,
    ...change,
  };
}

export function offerOf(name: string, change: Partial<ProviderOffer> = {}): ProviderOffer {
  return {
    provider: signerOf(name).account,
    name,
    domain: 'public',
    level: 'eco',
    slots: 1,
    cores: 4,
    memoryBytes: 4 * GIB,
    diskBytes: 10 * GIB,
    architecture: 'x64',
    kernel: '6.1',
    node: 'v24',
    benchmarkScore: 1000,
    isolation: 'S2',
    pricePerCoreSecond: 1000n,
    pricePerGibSecond: 1000n,
    ...change,
  };
}

export function manifestWith(change: Partial<Manifest> = {}): Manifest {
  return {
    version: 1,
    name: 'a job',
    kind: 'js',
    code: SOME_CID,
    inputs: [],
    params: '{}',
    limits: { ...DEFAULT_JOB_LIMITS, wallMs: 10_000, cpuMs: 10_000 },
    minIsolation: 'S1',
    tier: 'A',
    resources: { cores: 1, memoryBytes: GIB / 4 },
    ...change,
  };
}

/** Applies events to a market, keeps what it saved, and lets time pass. */
export class Driver {
  market: Market;
  readonly rows = new Map<string, StoredRow>();
  readonly randomness = createSeededRandomness(1);
  readonly #config: MarketConfig;
  nowMs = 0;
  #salt = 0;

  constructor(config: MarketConfig = configOf()) {
    this.#config = config;
    this.market = restoreMarket(config, []);
    this.apply({ kind: 'resume' });
    this.apply({ kind: 'nonceRead', nonce: 0, height: 0 });
  }

  get nowUs(): number {
    return START_US + this.nowMs * 1000;
  }

  apply(event: MarketEvent): readonly MarketEffect[] {
    const now = { timeUs: this.nowUs, monotonicMs: this.nowMs };
    const effects = applyEvent(this.market, event, now, this.randomness);
    for (const effect of effects) {
      if (effect.kind === 'save') this.rows.set(`${effect.table}/${effect.id}`, effect);
      if (effect.kind === 'remove') this.rows.delete(`${effect.table}/${effect.id}`);
    }
    return effects;
  }

  /** What the database held, in a process that knows nothing else. */
  restart(): readonly MarketEffect[] {
    this.market = restoreMarket(this.#config, this.rows.values());
    return this.apply({ kind: 'resume' });
  }

  /** The database is gone; the chain is not. */
  rebuild(rebuildTo: number): readonly MarketEffect[] {
    this.rows.clear();
    this.market = restoreMarket(this.#config, []);
    return this.apply({ kind: 'resume', rebuildTo });
  }

  wait(ms: number): readonly MarketEffect[] {
    this.nowMs += ms;
    return this.apply({ kind: 'tick' });
  }

  join(name: string, change: Partial<ProviderOffer> = {}): readonly MarketEffect[] {
    const { publicKey } = signerOf(name);
    const offer = offerOf(name, change);
    return this.apply({ kind: 'agentHello', session: name, publicKey, offer, leases: [] });
  }

  say(name: string, message: Exclude<AgentMessage, { kind: 'hello' }>): readonly MarketEffect[] {
    return this.apply({ kind: 'agentMessage', session: name, message });
  }

  order(manifest: Manifest, change: Partial<Order> = {}, consumer = signerOf('ann')): SignedOrder {
    this.#salt += 1;
    const order: Order = {
      chain: CHAIN,
      consumer: consumer.account,
      market: this.#config.signer.account,
      salt: this.#salt.toString(16).padStart(32, '0'),
      manifest: manifestCid(manifest),
      priceCap: 1_000_000n,
      placeByUs: this.nowUs + 60_000_000,
      completeByUs: this.nowUs + 120_000_000,
      ...change,
    };
    const signature = consumer.sign(ORDER_DOMAIN, orderBytes(order));
    return { order, publicKey: consumer.publicKey, signature };
  }

  submit(order: SignedOrder, manifest: Manifest, amount = 10_000_000n, height = 0): Reply {
    const balance = { amount, height };
    return replyIn(this.apply({ kind: 'submitOrder', request: 'r', order, manifest, balance }));
  }

  /** A final block with these facts; every transaction under way was executed in it. */
  block(orders: readonly OrderFact[], code?: string): readonly MarketEffect[] {
    const own = [...this.market.transactions.values()].map(({ row: { id, nonce } }) =>
      code === undefined ? { id, nonce, ok: true } : { id, nonce, ok: false, code },
    );
    const height = this.market.meta.height + 1;
    const hash = blockHash(height);
    return this.apply({ kind: 'block', height, hash, timeUs: this.nowUs, orders, own });
  }
}

export function replyIn(effects: readonly MarketEffect[]): Reply {
  const found = effects.find((effect) => effect.kind === 'reply');
  if (found?.kind !== 'reply') throw new Error('no reply');
  return found.reply;
}

/** Effects of one kind, in order. */
export function only<K extends MarketEffect['kind']>(
  effects: readonly MarketEffect[],
  kind: K,
): readonly Extract<MarketEffect, { kind: K }>[] {
  return effects.filter(
    (effect): effect is Extract<MarketEffect, { kind: K }> => effect.kind === kind,
  );
}

/** A fact without money in it. */
export const fact = (
  order: string,
  event: OrderFact['event'],
  fence = 0,
  change: Partial<OrderFact> = {},
): OrderFact => ({ order, event, fence, paid: 0n, refunded: 0n, ...change });
