/** Many seeds of the market simulation, each a small world with faults, and what came of them. */
import { sha256Hex } from '#libs/crypto';
import { utf8 } from '#libs/kernel';
import { MUTANTS, type Mutant } from './mutants.ts';
import { type SeedResult, runSeed } from './run-seed.ts';

export interface SimulationOptions {
  /** First and last seed. */
  readonly from: number;
  readonly to: number;
  /** Runs every how many-th seed a second time and compares the traces; 0: none. */
  readonly repeatEvery?: number;
  /** Also tries the broken systems that must be noticed. */
  readonly mutants?: boolean;
  readonly orders?: number;
  readonly onSeed?: (result: SeedResult) => void;
}

export interface SimulationReport {
  readonly seedsTried: number;
  readonly violations: number;
  readonly failures: readonly {
    readonly seed: number;
    readonly what: string;
    readonly replay: string;
  }[];
  readonly seedsRepeated: number;
  readonly tracesDiffering: number;
  /** Over all seeds, in order: equal when the same seeds run again. */
  readonly traceHash: string;
  readonly events: number;
  readonly eventsPerSecond: number;
  readonly virtualSeconds: number;
  /** How often each fault and each branch happened. */
  readonly sometimes: Readonly<Record<string, number>>;
  /** Of those that must happen, what never did. */
  readonly neverHappened: readonly string[];
  readonly mutantsTried: number;
  readonly mutantsCaught: number;
  readonly mutants: readonly {
    readonly name: string;
    readonly caughtBySeed: number | null;
    readonly invariant: string | null;
  }[];
}

/** Seeds within which every mutant must be noticed. */
export const MUTANT_SEEDS = 200;

/**
 * What must happen in a run of some dozens of seeds; a fault that never strikes proves nothing. Each is
 * a counter of the simulation.
 */
export const SOMETIMES: readonly string[] = [
  'fault market crash',
  'fault node crash',
  'fault node crash in commit',
  'fault node disk error',
  'fault agent crash',
  'fault agent paused',
  'fault line cut',
  'fault message lost',
  'fault message late',
  'fault message duplicated',
  'fault message reordered',
  'fault queue message lost',
  'fault queue message late',
  'fault queue message twice',
  'fault transaction lost',
  'fault transaction late',
  'fault transaction posted twice',
  'fault answer of the node lost',
  'fault block lost',
  'fault block told twice',
  'fault request lost',
  'fault request sent twice',
  'fault answer to the consumer lost',
  'fault result late',
  'fault result too large',
  'fault result appears late',
  'fault slot crashes',
  'fault slot hangs',
  'fault storage does not answer',
  'fault storage is down',
  'fault cheat',
  'fault two faces',
  'fault delivery relayed to the chain',
  'fault cheat with a batch',
  'fault two faces of a batch',
  'fault batch relayed to the chain',
  'order accepted',
  'order repeated',
  'cancel order',
  'graph accepted',
  'graph repeated',
  'lease of an order that reads others',
  'log input',
  'reason MARKET_INPUT_FAILED',
  'refused MARKET_INPUT_UNKNOWN',
  'refused MARKET_INPUT_FOREIGN',
  'refused MARKET_INPUT_SHAPE',
  'ended in a graph done',
  'refused MARKET_ORDER_SIGNATURE',
  'refused MARKET_ORDER_FOREIGN',
  'refused MARKET_ORDER_EXPIRED',
  'refused MARKET_BALANCE_TOO_LOW',
  'refused MARKET_CAP_TOO_LOW',
  'fault wrong output',
  'fault lie about a whole job',
  'audit right',
  'audit wrong',
  'audit undone',
  'draw made again',
  'batch audit right',
  'batch audit wrong',
  'batch liar convicted',
  'liar convicted',
  'replicas done',
  'replicas odd, not paid',
  'log checked',
  'log lost',
  'log settled',
  'log refunded',
  'log cancelled',
  'log failed',
  'chain settled',
  'chain cancelled',
  'chain rejected',
  'chain refunded',
  'ended done/settled',
  'ended failed/cancelled',
  'ended cancelled/cancelled',
  'reason MARKET_POISON',
  'reason MARKET_NO_TIME',
  'receipt ORDERS_ALREADY_DELIVERED',
  'receipt ORDERS_FENCE_STALE',
  'receipt ORDERS_NOT_DUE',
  'receipt verified',
];

const replayOf = (seed: number, orders: number | undefined): string =>
  `seele sim market --seeds ${seed}-${seed}${orders === undefined ? '' : ` --orders ${orders}`}`;

/** Runs the seeds. Throws only on misuse; what went wrong is in the report. */
export async function simulateMarket(options: SimulationOptions): Promise<SimulationReport> {
  const { from, to, repeatEvery = 10, orders, onSeed } = options;
  const sized = orders === undefined ? {} : { orders };
  const sometimes = new Map<string, number>();
  const failures: SimulationReport['failures'][number][] = [];
  const started = performance.now();
  let traceHash = '';
  let events = 0;
  let virtualMs = 0;
  let seedsRepeated = 0;
  let tracesDiffering = 0;
  for (let seed = from; seed <= to; seed++) {
    const result = await runSeed({ seed, ...sized });
    onSeed?.(result);
    events += result.events;
    virtualMs += result.virtualMs;
    traceHash = sha256Hex(utf8(traceHash + result.traceHash));
    for (const [name, count] of result.counters)
      sometimes.set(name, (sometimes.get(name) ?? 0) + count);
    const [first] = result.violations;
    if (first) {
      const what = `${first.invariant} at ${first.atMs.toFixed(0)} ms: ${first.text}`;
      failures.push({ seed, what, replay: replayOf(seed, orders) });
    }
    if (repeatEvery === 0 || (seed - from) % repeatEvery !== 0) continue;
    seedsRepeated += 1;
    const again = await runSeed({ seed, ...sized });
    events += again.events;
    if (again.traceHash === result.traceHash) continue;
    tracesDiffering += 1;
    failures.push({ seed, what: 'a second run differs', replay: replayOf(seed, orders) });
  }
  const seconds = (performance.now() - started) / 1000;
  const mutants = options.mutants ? await tryMutants(from, orders) : [];
  return {
    seedsTried: to - from + 1,
    violations: failures.length,
    failures,
    seedsRepeated,
    tracesDiffering,
    traceHash,
    events,
    eventsPerSecond: Math.round(events / seconds),
    virtualSeconds: Math.round(virtualMs / 1000),
    sometimes: Object.fromEntries([...sometimes].sort(([a], [b]) => (a < b ? -1 : 1))),
    neverHappened: SOMETIMES.filter((name) => !sometimes.has(name)),
    mutantsTried: mutants.length,
    mutantsCaught: mutants.filter(({ caughtBySeed }) => caughtBySeed !== null).length,
    mutants,
  };
}

async function tryMutants(
  from: number,
  orders: number | undefined,
): Promise<SimulationReport['mutants'][number][]> {
  const tried: SimulationReport['mutants'][number][] = [];
  for (const mutant of MUTANTS) tried.push(await catchMutant(mutant, from, orders));
  return tried;
}

/** Runs a broken system until an invariant notices, for at most `MUTANT_SEEDS` seeds. */
export async function catchMutant(
  mutant: Mutant,
  from: number,
  orders?: number,
  seeds: number = MUTANT_SEEDS,
): Promise<SimulationReport['mutants'][number]> {
  for (let seed = from; seed < from + seeds; seed++) {
    const result = await runSeed({ seed, mutant, ...(orders !== undefined && { orders }) });
    const [first] = result.violations;
    if (first) return { name: mutant.name, caughtBySeed: seed, invariant: first.invariant };
  }
  return { name: mutant.name, caughtBySeed: null, invariant: null };
}
