/** Machines of every cell, and the real scheduler's choice among them. */
import type { SeededRandomness } from '#libs/kernel';
import {
  type LevelName,
  chargeFor,
  crowdOf,
  isExcluded,
  judgeStake,
  wrongResultRisk,
} from '#libs/market';
import {
  CapacityIndex,
  type Cell,
  type CellOffer,
  type Cluster,
  DOMAIN_BITS,
  LEVELS,
  RunTimes,
  bind,
  chooseOffer,
  createCell,
  createCluster,
  release,
} from '#libs/scheduler';
import type { SimProvider } from './scenario.ts';
import type { JobClass, SimTask } from './task.ts';

const CANDIDATES = 64;
/** From the decision to the first statement of the guest. */
const START_MS = 100;
/** Price of leaving a machine in pieces, against the price of the task. */
const PACKING = 0.01;
const GIB_MIB = 1024;
const MIB = 2 ** 20;

interface SimCell {
  readonly name: string;
  readonly domain: SimProvider['domain'];
  readonly level: LevelName;
  readonly providers: readonly SimProvider[];
  readonly cluster: Cluster;
  readonly index: CapacityIndex;
}

export interface Placement {
  readonly provider: SimProvider;
  readonly price: bigint;
}

/** What this work costs there, by the market's own rule. */
export function priceOn(provider: SimProvider, job: JobClass, workMs: number): bigint {
  const wallMs = Math.ceil(workMs / provider.speed);
  const used = { wallMs, cpuMs: Math.ceil((wallMs * job.shape.cpuMilli) / 1000) };
  const memoryBytes = job.shape.memoryMib * MIB;
  const limits = { memoryBytes, wallMs: used.wallMs, cpuMs: used.cpuMs };
  return chargeFor(
    provider.prices,
    { ...limits, outputBytes: 0, logLines: 0, logBytes: 0, hostCalls: 0 },
    used,
    1n << 62n,
  );
}

export class Placements {
  readonly cells: readonly SimCell[];
  readonly runTimes = new RunTimes();
  /** Tasks that a permitted machine with room would have taken but for a floor that was crossed: none. */
  outsideDomain = 0;
  refusedForStake = 0;
  readonly #found = new Int32Array(CANDIDATES);
  readonly #cellOf = new Map<SimProvider, { cell: SimCell; node: number }>();
  readonly #random: SeededRandomness;
  readonly #operators = new Map<string, number>();

  constructor(providers: readonly SimProvider[], random: SeededRandomness) {
    this.#random = random;
    const byCell = new Map<string, SimProvider[]>();
    for (const provider of providers) {
      const name = `${provider.domain}.${provider.level}`;
      byCell.set(name, [...(byCell.get(name) ?? []), provider]);
    }
    this.cells = [...byCell]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, members]) => this.#cell(name, members));
    for (const domain of Object.keys(DOMAIN_BITS)) {
      const inside = providers.filter((provider) => provider.domain === domain);
      this.#operators.set(domain, new Set(inside.map(({ operator }) => operator)).size);
    }
  }

  #cell(name: string, providers: readonly SimProvider[]): SimCell {
    const cluster = createCluster(
      providers.map(({ id, cores, memoryMib }) => ({
        ...{ name: id, cpuMilli: cores * 1000, memoryMib, gpuCount: 0, model: '' },
      })),
    );
    const { domain, level } = providers[0] as SimProvider;
    const index = new CapacityIndex(cluster);
    const cell = { name, domain, level, providers, cluster, index };
    for (const [node, provider] of providers.entries()) this.#cellOf.set(provider, { cell, node });
    return cell;
  }

  /** CPU and memory of a cell, in thousandths of a core and MiB. */
  capacityOf(name: string): readonly [number, number] {
    const cell = this.cells.find((one) => one.name === name);
    const sum = (of: Int32Array | undefined) => of?.reduce((total, one) => total + one, 0) ?? 0;
    return [sum(cell?.cluster.cpuTotal), sum(cell?.cluster.memoryTotal)];
  }

  /** The best permitted machine with room now for one more replica of the task; takes its room. */
  place(task: SimTask, nowMs: number): Placement | undefined {
    const { job } = task;
    const offers = new Map<string, SimProvider>();
    const cells: Cell[] = [];
    for (const cell of this.cells) {
      if ((DOMAIN_BITS[cell.domain] & job.floors.domains) === 0) continue;
      if (job.floors.levels.length > 0 && !job.floors.levels.includes(cell.level)) continue;
      const inside = this.#offersOf(cell, task, offers);
      if (inside.length > 0) cells.push(createCell(cell.domain, LEVELS[cell.level], inside));
    }
    const deadlineMs = Math.max(1, job.deadlineMs - (nowMs - task.submittedMs));
    const choice = chooseOffer(cells, { ...job.floors, deadlineMs }, job.weights);
    if (!choice) return undefined;
    const provider = offers.get(choice.offer.id) as SimProvider;
    if ((DOMAIN_BITS[provider.domain] & job.floors.domains) === 0) this.outsideDomain++;
    const at = this.#cellOf.get(provider) as { cell: SimCell; node: number };
    bind(at.cell.cluster, at.node, 0, job.shape);
    at.cell.index.changed(at.node);
    return { provider, price: priceOn(provider, job, task.workMs) };
  }

  release(provider: SimProvider, job: JobClass): void {
    const at = this.#cellOf.get(provider) as { cell: SimCell; node: number };
    release(at.cell.cluster, at.node, 0, job.shape);
    at.cell.index.changed(at.node);
  }

  #offersOf(cell: SimCell, task: SimTask, into: Map<string, SimProvider>): CellOffer[] {
    const { job, attempts } = task;
    const { index, cluster, providers } = cell;
    const count = index.sample(job.shape, CANDIDATES, this.#random, this.#found);
    const offers: CellOffer[] = [];
    for (let i = 0; i < count; i++) {
      const node = this.#found[i] as number;
      const provider = providers[node] as SimProvider;
      if (!provider.isOnline || isExcluded(provider.trust)) continue;
      // Replicas go to distinct operators, whoever answered, runs or was lost.
      if (attempts.some((one) => one.provider.operator === provider.operator)) continue;
      const offer = this.#offerOf(provider, job);
      if (!this.#isStakeEnough(provider, job, offer.price)) continue;
      const left = ((cluster.cpuFree[node] as number) - job.shape.cpuMilli) / 1000 / provider.cores;
      offers.push({ ...offer, packingPrice: offer.price * PACKING * left });
      into.set(provider.id, provider);
    }
    return offers;
  }

  /** Price and time as predicted from earlier runs of the same code, never from the task itself. */
  #offerOf(provider: SimProvider, job: JobClass): Omit<CellOffer, 'packingPrice'> {
    const { expectedMs } = this.#predict(job);
    const runMs = expectedMs / provider.speed;
    const { pricePerCoreSecond, pricePerGibSecond } = provider.prices;
    const perSecond =
      (Number(pricePerCoreSecond) * job.shape.cpuMilli) / 1000 +
      (Number(pricePerGibSecond) * job.shape.memoryMib) / GIB_MIB;
    return {
      id: provider.id,
      price: (perSecond * runMs) / 1000,
      finishMs: START_MS + runMs,
      risk: this.#riskOf(provider.domain, job),
      region: 'eu',
    };
  }

  readonly #predictions = new Map<string, { runs: number; expectedMs: number }>();
  readonly #runs = new Map<string, number>();

  /** Predictions of one code change slowly: asked again after each tenth of runs more. */
  #predict(job: JobClass): { expectedMs: number } {
    const runs = this.#runs.get(job.code) ?? 0;
    const known = this.#predictions.get(job.code);
    if (known && runs < known.runs * 1.1 + 1) return known;
    const key = { code: job.code, inputBytes: 0, nodeClass: '' };
    const { expectedMs } = this.runTimes.predict(key);
    const fresh = { runs, expectedMs };
    this.#predictions.set(job.code, fresh);
    return fresh;
  }

  /** A run ended: its time on a machine of speed 1. */
  finished(job: JobClass, workMs: number): void {
    this.#runs.set(job.code, (this.#runs.get(job.code) ?? 0) + 1);
    this.runTimes.finished({ code: job.code, inputBytes: 0, nodeClass: '' }, workMs);
  }

  readonly #risks = new Map<string, number>();

  #riskOf(domain: SimProvider['domain'], job: JobClass): number {
    const key = `${domain} ${job.owner}`;
    const known = this.#risks.get(key);
    if (known !== undefined) return known;
    const risk = wrongResultRisk(job.regime, crowdOf(this.#operators.get(domain) ?? 0));
    this.#risks.set(key, risk);
    return risk;
  }

  #isStakeEnough({ stake, level }: SimProvider, { regime }: JobClass, price: number): boolean {
    if (level !== 'assured') return true;
    const gain = BigInt(Math.ceil(price));
    const { isDeterred } = judgeStake({ checkChance: regime.checkChance, atStake: stake, gain });
    if (!isDeterred) this.refusedForStake++;
    return isDeterred;
  }
}
