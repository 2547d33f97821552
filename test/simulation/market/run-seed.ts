/** One seed: a world with a chain, a market, providers and consumers, faults, and then peace. */
import { systemContracts, genesisSettings } from '#contracts';
import {
  type SignatureVerifier,
  type Signer,
  createSigner,
  keyedHashSigner,
  keyedHashVerifier,
  sha256,
  verifySignature,
} from '#libs/crypto';
import { type Bytes, utf8 } from '#libs/kernel';
import { type Genesis, genesisId } from '#libs/ledger';
import {
  DEFAULT_MARKET_CAPS,
  DEFAULT_MARKET_TIMES,
  type MarketConfig,
  type MarketTimes,
  type ProviderOffer,
  encodeManifest,
  manifestCid,
} from '#libs/market';
import { AgentProcess } from './agent-process.ts';
import { checkAudits } from './audit-checks.ts';
import { BindingQueue } from './binding-queue.ts';
import { ChainUsers } from './chain-users.ts';
import { type ConsumerOptions, Consumers } from './consumers.ts';
import { checkDraws } from './draw-checks.ts';
import { checkGraphs, checkLease } from './graph-checks.ts';
import { GraphConsumers } from './graph-consumers.ts';
import { Invariants } from './invariants.ts';
import { MarketProcess } from './market-process.ts';
import type { Mutant } from './mutants.ts';
import { NodeProcess } from './node-process.ts';
import { ResultStore } from './result-store.ts';
import type { JobScript } from './scripts.ts';
import { type Violation, World } from './world.ts';

export interface SeedOptions {
  readonly seed: number;
  /** Orders per seed. */
  readonly orders?: number;
  readonly mutant?: Mutant;
}

export interface SeedResult {
  readonly seed: number;
  readonly violations: readonly Violation[];
  readonly traceHash: string;
  readonly events: number;
  readonly virtualMs: number;
  readonly counters: ReadonlyMap<string, number>;
}

const TIMES: MarketTimes = {
  ...DEFAULT_MARKET_TIMES,
  heartbeatMs: 500,
  leaseMs: 2000,
  acceptMs: 1000,
  backoffMs: 100,
  backoffMaxMs: 2000,
  bindingRetryMs: 1000,
  checkRetryMs: 500,
  resultGraceMs: 3000,
  bindLeadMs: 12_000,
  chainRetryMs: 500,
  transactionValidMs: 8000,
  anchorMs: 250,
  placeByMaxMs: 60_000,
  completeByMaxMs: 600_000,
  keepEndedMs: 5000,
  auditPatienceMs: 15_000,
};

/** So many results are done again, so that some dozens of seeds see every end of an audit. */
const AUDIT_SHARE = 0.06;
const GIB = 2 ** 30;
const ORDERS = 16;
/** For so many orders there is a graph of them more. */
const ORDERS_PER_GRAPH = 6;
/** Orders come during the first part of the faults. */
const SPREAD_SHARE = 0.6;
const FAULTS_MS = 20_000;
/** Small worlds are short ones, too. */
const SMALL_ORDERS = 10;
const SMALL_FAULTS_MS = 10_000;
/** I9: so long after the faults everything has ended. */
const PEACE_MS = 120_000;
const FUNDS = 10n ** 12n;
const DEPOSIT = 1_000_000n;
const SECOND = 1_000_000n;

export async function runSeed({ seed, orders = ORDERS, mutant }: SeedOptions): Promise<SeedResult> {
  const simulation = new Simulation(seed, orders, mutant);
  return simulation.run();
}

class Simulation {
  readonly #world: World;
  readonly #node: NodeProcess;
  readonly #market: MarketProcess;
  readonly #agents: AgentProcess[] = [];
  readonly #consumers: Consumers;
  readonly #graphs: GraphConsumers;
  readonly #invariants: Invariants;
  readonly #faultsMs: number;
  readonly #providers: readonly string[];
  readonly #liars: ReadonlySet<string>;

  constructor(seed: number, orders: number, mutant: Mutant | undefined) {
    const world = new World(seed);
    this.#world = world;
    this.#faultsMs = orders < SMALL_ORDERS ? SMALL_FAULTS_MS : FAULTS_MS;
    const { signerOf, verify } = signatures(seed);
    const market = signerOf('market');
    const sequencer = signerOf('sequencer');
    const stranger = signerOf('stranger');
    const consumers = ['ann', 'bob', 'cyd', 'eve'].map(signerOf);
    const patient = signerOf('dan');
    const providers = CELLS.map(({ name }) => signerOf(name));
    const funded = [market, stranger, patient, ...consumers, ...providers];
    const genesis = genesisOf(world, sequencer, funded);
    const chain = genesisId(genesis);
    const results = new ResultStore(world);
    const manifests = new Map<string, Bytes>();
    this.#invariants = new Invariants({
      world,
      genesis,
      supply: FUNDS * BigInt(funded.length),
      verify,
      market,
      chain: () => this.#node.chain,
      manifestBytes: (cid) => manifests.get(cid),
      hasResult: (cid, maxBytes) => results.has(cid, maxBytes),
    });
    const invariants = this.#invariants;
    this.#node = new NodeProcess({
      world,
      genesis,
      contracts: mutant?.contracts ?? systemContracts,
      sequencer,
      verify,
      hooks: mutant?.node ?? {},
      onDurable: (block, receipts) => invariants.durableBlock(block, receipts),
      onBlock: () => this.#market.pumpBlocks(),
      onStart: () => this.#market.nodeStarted(),
    });
    const node = this.#node;
    const queue = new BindingQueue(world);
    const config: MarketConfig = {
      chain,
      signer: market,
      verify: mutant?.believesAll ? () => true : verify,
      times: { ...TIMES, ...mutant?.times },
      caps: { ...DEFAULT_MARKET_CAPS, orders: 64, openOrders: 12, transactions: 8, faults: 3 },
      ...{ auditShare: AUDIT_SHARE, slashedPerMille: 500n },
      fuelLimit: 5_000_000n,
      fuelPrice: 1n,
    };
    this.#market = new MarketProcess({
      world,
      config,
      signer: market,
      verify,
      node,
      queue,
      results,
      invariants,
      onLease: (message, rows) =>
        checkLease({ world, rows, manifestBytes: (cid) => manifests.get(cid) }, message),
      hooks: mutant?.market ?? {},
    });
    const hostile = 1;
    const users = new ChainUsers({
      world,
      chain,
      node,
      invariants,
      consumers,
      hostile,
      deposit: DEPOSIT,
      stranger,
      attackEveryMs: 400,
      ...{ patient, providers },
    });
    const scripts = new Map<string, JobScript>();
    const cheats = world.random.chance(0.4) ? world.random.below(3) : -1;
    // One of those that check each other lies in every second world.
    const liar = world.random.chance(0.5) ? 2 + world.random.below(3) : -1;
    const jobLiar = world.random.chance(0.5) ? world.random.below(providers.length) : -1;
    const lying = [providers[jobLiar], providers[liar]].flatMap((one) => one?.account ?? []);
    this.#liars = new Set(lying);
    this.#providers = providers.map(({ account }) => account);
    for (const [i, signer] of providers.entries())
      this.#agents.push(
        new AgentProcess({
          world,
          signer,
          offer: offerOf(signer, i),
          market: this.#market,
          results,
          isCheat: i === cheats,
          lie: i === liar ? { number: 7, share: world.random.pick([5, 50, 100]) } : undefined,
          wholeLies: i === jobLiar ? world.random.pick([20, 50, 100]) : undefined,
          scriptOf: (manifest) => scripts.get(manifest),
          relay: (delivery) => users.relay(signer, delivery),
          relayUnits: (delivery) => users.relayUnits(signer, delivery),
          usesWire: seed % 4 === 0,
        }),
      );
    const ordering: ConsumerOptions = {
      world,
      chain,
      marketAccount: market.account,
      market: this.#market,
      invariants,
      consumers,
      hostile,
      orders,
      spreadMs: SPREAD_SHARE * this.#faultsMs,
      patient,
      peaceAtMs: this.#faultsMs + 5000,
      refund: (order) => users.refund(order),
      remember: (manifest, script) => {
        const cid = manifestCid(manifest);
        scripts.set(cid, script);
        manifests.set(cid, encodeManifest(manifest));
      },
    };
    this.#consumers = new Consumers(ordering);
    this.#graphs = new GraphConsumers(ordering, Math.ceil(orders / ORDERS_PER_GRAPH));
  }

  async run(): Promise<SeedResult> {
    const world = this.#world;
    try {
      await this.#node.start();
      this.#market.start();
      for (const agent of this.#agents) agent.start();
      this.#planFaults();
      await world.run(() => this.#isOver());
      this.#judge();
    } catch (error) {
      // The assertions of contracts, ledger and reducer are invariants too.
      world.violate('assertion', error instanceof Error ? String(error.stack) : String(error));
    }
    const { seed, violations, traceHash, events, elapsedMs, counters } = world;
    return { seed, violations, traceHash, events, virtualMs: elapsedMs, counters };
  }

  #planFaults(): void {
    const world = this.#world;
    const some = (most: number, run: () => void): void => {
      for (let i = world.random.below(most + 1); i > 0; i--)
        world.after(world.between(500, this.#faultsMs), 'fault', run);
    };
    some(2, () => this.#node.crash());
    some(3, () => this.#market.crash());
    for (const agent of this.#agents) {
      some(2, () => agent.crash());
      some(1, () => agent.pause());
      some(2, () => agent.cut());
      some(1, () => agent.drain());
    }
    world.after(this.#faultsMs, 'peace', () => {
      world.faulty = false;
    });
  }

  /** Looked at now and then: reading all rows after each event would take most of the time. */
  #isOver(): boolean {
    const world = this.#world;
    if (world.faulty) return false;
    if (world.elapsedMs > this.#faultsMs + PEACE_MS) return true;
    const isQuiet =
      this.#market.life.isUp &&
      this.#node.life.isUp &&
      this.#consumers.areDone &&
      this.#graphs.areDone;
    if (!isQuiet || world.events % 64 !== 0) return false;
    const { market } = this.#market;
    if (!market || market.openOrders > 0 || market.transactions.size > 0) return false;
    const { meta, unanchored } = market;
    const isAnchored = unanchored.size === 0 && meta.anchoredLeaves === meta.operatorLog.size;
    return isAnchored && this.#market.isIdle && this.#invariants.allEnded(this.#market.rows);
  }

  #judge(): void {
    const world = this.#world;
    if (world.violations.length > 0) return;
    if (world.elapsedMs > this.#faultsMs + PEACE_MS) {
      world.violate('I9', `not everything has ended: ${this.#market.describe()}`);
      return;
    }
    const { rows } = this.#market;
    this.#invariants.final(rows);
    checkGraphs({ world, rows });
    const { chain } = this.#node;
    checkDraws({ world, rows, node: this.#node, least: AUDIT_SHARE });
    checkAudits({ world, rows, chain, providers: this.#providers, liars: this.#liars });
  }
}

/** One seed in a hundred signs for real; the others use a keyed hash, which is much cheaper. */
function signatures(seed: number): {
  signerOf: (name: string) => Signer;
  verify: SignatureVerifier;
} {
  const seedOf = (name: string) => sha256(utf8(`${seed} ${name}`));
  if (seed % 100 === 1)
    return { signerOf: (name) => createSigner(seedOf(name)), verify: verifySignature };
  const secret = seedOf('keyed hash');
  return {
    signerOf: (name) => keyedHashSigner(secret, seedOf(name)),
    verify: keyedHashVerifier(secret),
  };
}

function genesisOf(world: World, sequencer: Signer, funded: readonly Signer[]): Genesis {
  const changed = new Map([
    ['orders.withdrawalDelayUs', 5n * SECOND],
    ['orders.deliveryGraceUs', 5n * SECOND],
    ['orders.settleWindowUs', 30n * SECOND],
  ]);
  return {
    chainName: `simulated ${world.seed}`,
    timeUs: world.nowUs,
    ordering: { kind: 'solo', sequencer: sequencer.publicKey },
    parameters: {
      allocations: funded.map(({ account }) => ({ account, amount: FUNDS })),
      settings: genesisSettings.map(({ name, value }) => ({
        name,
        value: changed.get(name) ?? value,
      })),
    },
  };
}

const CELLS = [
  { name: 'north', domain: 'public', level: 'eco', isolation: 'S1', price: 1000n, score: 1000 },
  { name: 'south', domain: 'vetted', level: 'fast', isolation: 'S2', price: 3000n, score: 3000 },
  {
    name: 'west',
    domain: 'confidential',
    level: 'assured',
    isolation: 'S3',
    price: 5000n,
    score: 2000,
  },
  // Two more, so that orders of tier C find operators who check each other.
  {
    name: 'wold',
    domain: 'confidential',
    level: 'assured',
    isolation: 'S3',
    price: 4000n,
    score: 1500,
  },
  {
    name: 'weald',
    domain: 'private',
    level: 'assured',
    isolation: 'S4',
    price: 4500n,
    score: 1000,
  },
] as const;

function offerOf(signer: Signer, index: number): ProviderOffer {
  const { name, domain, level, isolation, price, score } = CELLS[index] as (typeof CELLS)[number];
  return {
    provider: signer.account,
    name,
    domain,
    level,
    slots: 1 + Math.min(index, 2),
    cores: 4,
    memoryBytes: 4 * GIB,
    diskBytes: 100 * GIB,
    architecture: 'x64',
    kernel: 'simulated',
    node: 'v24',
    benchmarkScore: score,
    isolation,
    pricePerCoreSecond: price,
    pricePerGibSecond: price,
  };
}
