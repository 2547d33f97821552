/** Rounds, messages and cost of EDA in the simulator, beside PBFT on the same links. */
import { accessSync, constants, mkdirSync } from 'node:fs';
import { WrongUsage } from '../support/refusal.ts';
import {
  type LayerAAdversary,
  LAYER_A_ADVERSARIES,
  runCompact,
  worstRounds,
} from '../simulation/eda/compact.ts';
import { LINKS_100_MBIT as links } from '../simulation/eda/links.ts';
import { runPbft } from '../simulation/eda/pbft.ts';
import { runFull } from '../simulation/eda/simulate.ts';
import { pbftRate, runEdaLoad } from '../simulation/eda/throughput.ts';
import { writePlots } from './consensus-plots.ts';
import { type Bench, type BenchFigures, cpuSeconds, significant } from './harness.ts';

const FAILED = [0, 10, 20, 33, 40, 45];
const EPSILON_US = 128;
const BASE = {
  nodes: 1000,
  failed: 0,
  byzantine: 0,
  linksLost: 0,
  mode: 'committee',
  seats: 200,
  samplingRate: 0.1,
  epsilonUs: EPSILON_US,
  spreadUs: 1e5 * EPSILON_US,
} as const;
const N100 = 100;
const START_US = 500_000;
const WARM_UP_US = 1_600_000;
const MEASURE_US = 1_800_000;

/**
 * Transactions a second at n = 100 on links of 100 Mbit/s, every validator offering 238 a second (90 %
 * of what one core can check). The pace Δ is set above the time a block of 190 transactions takes
 * through the uplink to 99 others (0.4 s); PBFT has its best case in both rows: no timeouts.
 */
function throughputN100(seed: number): BenchFigures {
  const common = { nodes: N100, seed, delayUs: [1000, 20_000] as const, links };
  const load = { batch: 190, everyUs: 800_000 };
  const eda = runEdaLoad({
    ...common,
    ...load,
    deltaUs: 150_000,
    outstanding: 8,
    warmUpUs: WARM_UP_US,
    measureUs: MEASURE_US,
  });
  const patient = { ...common, failed: 0, linksLost: 0, timeoutUs: 10_000_000 };
  const plain = runPbft({ ...patient, blocks: 4, blockTransactions: 800 });
  const spread = runPbft({
    ...patient,
    blocks: 10_000,
    batches: { transactions: load.batch, everyUs: load.everyUs },
    maxUs: START_US + WARM_UP_US + MEASURE_US,
  });
  const pbft = pbftRate(plain.ordered, 0);
  const separate = pbftRate(spread.ordered, WARM_UP_US);
  return {
    throughputVsPbft: significant(eda.tps / pbft),
    throughputVsPbftDissemination: significant(eda.tps / separate),
    throughputN100: {
      eda: Math.round(eda.tps),
      pbft: Math.round(pbft),
      pbftDissemination: Math.round(separate),
      edaFinalityMs: significant(eda.finalityMs ?? Number.NaN),
      edaControlShareOfUplink: significant(eda.controlShare),
      violations: eda.violations + plain.violations + spread.violations,
    },
  };
}

/** Before anything is measured: a folder that cannot be used is not found out after minutes. */
function makeFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true });
    accessSync(path, constants.W_OK);
  } catch (error) {
    throw new WrongUsage(`--plots ${path}: ${(error as Error).message}`);
  }
}

export const bench: Bench = async ({ seed, note, plots }) => {
  if (plots !== undefined) makeFolder(plots);
  const seeds = [0, 1, 2, 3, 4].map((i) => seed + i);
  const row = (linksLost: number): BenchFigures =>
    Object.fromEntries(
      FAILED.map((percent) => [
        String(percent),
        worstRounds({ ...BASE, failed: percent / 100, linksLost }, seeds).rounds,
      ]),
    );
  const rounds = { full: row(0), links50: row(0.5), links90: row(0.9) };
  note('rounds under crashes and lost links');
  const liars = { ...BASE, seats: 400, byzantine: 0.19, failed: 0.21, linksLost: 0.3 };
  const byAdversary = (adversary: LayerAAdversary) =>
    worstRounds({ ...liars, adversary }, seeds).rounds;
  const worstOf = LAYER_A_ADVERSARIES.map(byAdversary);
  const stubborn = { ...liars, liarsLose: false };
  const unproven = { ...stubborn, adversary: 'equivocate', evidence: false, seed } as const;
  const repeated = LAYER_A_ADVERSARIES.map(
    (adversary) => worstRounds({ ...stubborn, adversary }, seeds).rounds,
  );
  note('rounds under liars');
  const sizes = [100, 1000, 10_000];
  const pull = (nodes: number) => worstRounds({ ...BASE, nodes, mode: 'pull' }, [seed]).rounds;
  const roundsBySize = Object.fromEntries(sizes.map((nodes) => [String(nodes), pull(nodes)]));
  const began = cpuSeconds();
  const large = runCompact({ ...BASE, nodes: 100_000, linksLost: 0.5, seed });
  const largeSeconds = cpuSeconds() - began;
  note('100 000 nodes');
  const eda = runFull(
    { ...BASE, nodes: N100, adversary: 'none', profile: 'seele-40', blocks: N100, seeds: [seed] },
    'none',
    seed,
  );
  const pbft = runPbft({
    nodes: N100,
    failed: 0,
    linksLost: 0,
    blocks: 3,
    seed,
    delayUs: [1000, 20_000],
  });
  note('100 validators, 100 parallel blocks');
  const saturated = throughputN100(seed);
  note('throughput on links of 100 Mbit/s');
  if (plots !== undefined) writePlots(plots, BASE, seed, note);
  const isWhole = eda.finalityMs.length === N100;
  return {
    figures: {
      rounds,
      roundsBySize,
      byz19crash21Rounds: worstOf.includes(null) ? null : Math.max(...worstOf.map(Number)),
      byz19crash21: Object.fromEntries(
        LAYER_A_ADVERSARIES.map((name, i) => [name, worstOf[i] ?? null]),
      ),
      byz19crash21LiarsRepeatRounds: repeated.includes(null)
        ? null
        : Math.max(...repeated.map(Number)),
      withoutEvidenceStalls: runCompact(unproven).rounds === null,
      messagesPerBlockN100: isWhole ? Math.round(eda.world.messages / N100) : null,
      pbftVotesPerBlockN100: Math.round(pbft.votes / pbft.decided),
      pbftMessagesPerBlockN100: Math.round(pbft.messages / pbft.decided),
      finalityMsN100: significant(eda.finalityMs.toSorted((a, b) => a - b)[N100 / 2] ?? Number.NaN),
      ...saturated,
      nodes100k: { rounds: large.rounds, cpuSeconds: significant(largeSeconds) },
      seedsTried: seeds.length,
    },
    skipped: {
      ...(!isWhole && { messagesPerBlockN100: 'not all blocks became final' }),
    },
  };
};
