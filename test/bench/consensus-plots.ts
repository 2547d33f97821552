/** The figures of docs/consensus.md as SVG files: `seele bench consensus-sim --plots DIR`. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createSeededRandomness } from '#libs/kernel';
import { type CompactOptions, worstRounds } from '../simulation/eda/compact.ts';
import { runPbft } from '../simulation/eda/pbft.ts';
import { runFull } from '../simulation/eda/simulate.ts';
import { type Plot, type Series, plotToSvg } from './svg-plot.ts';

type Base = Omit<CompactOptions, 'seed'>;
const FAILED = [0, 20, 33, 40, 45];
const RATES = [1, 2, 3, 5, 7, 10, 15, 20, 30];
const DELAY_US = [1000, 20_000] as const;

function roundsBySampling(base: Base, seeds: readonly number[]): Plot {
  const rounds = (failed: number, rate: number) =>
    worstRounds({ ...base, mode: 'pull', failed: failed / 100, samplingRate: rate / 100 }, seeds)
      .rounds;
  return {
    title: 'Rounds against sampling rate',
    note: '1 000 nodes, each asks a share s of all in a round (pull); worst of 3 seeds',
    x: { label: 'sampling rate s (% of all nodes)', from: 0, to: 30 },
    y: { label: 'rounds until all honest nodes lie within ε', from: 0 },
    series: FAILED.map((failed) => ({
      name: `${failed} % failed`,
      points: RATES.map((rate) => [rate, rounds(failed, rate)] as const),
    })),
  };
}

/** Share of nodes whose value one node has after two rounds: what it asked, and what those asked. */
function reached(nodes: number, rate: number, seed: number): number {
  const random = createSeededRandomness(seed);
  const perNode = Math.max(1, Math.round(rate * nodes));
  const seen = new Uint8Array(nodes);
  const asked = Array.from({ length: perNode }, () => random.below(nodes));
  for (const node of asked) seen[node] = 1;
  for (let i = 0; i < asked.length; i++)
    for (let j = 0; j < perNode; j++) seen[random.below(nodes)] = 1;
  return seen.reduce((sum, one) => sum + one, 0) / nodes;
}

function coverage(seed: number): Plot {
  const rates = [0.2, 0.5, 1, 1.5, 2, 3, 4, 5, 7, 10];
  const sizes = [1000, 10_000, 100_000];
  const formula = (nodes: number, rate: number) => 1 - (1 - rate) ** (1 + rate * nodes);
  const named = (nodes: number) => `n = ${String(nodes).replace(/000$/, ' 000')}`;
  const rows = (nodes: number, i: number): Series[] => [
    {
      name: `${named(nodes)}, measured`,
      isDots: true,
      colourOf: i,
      points: rates.map((rate) => [
        rate,
        // 100 000 nodes at a high rate are all reached, and cost most of the time.
        nodes * rate > 200_000 ? null : 100 * reached(nodes, rate / 100, seed),
      ]),
    },
    {
      name: `${named(nodes)}, formula`,
      isDashed: true,
      colourOf: i,
      points: rates.map((rate) => [rate, 100 * formula(nodes, rate / 100)]),
    },
  ];
  return {
    title: 'Coverage of repeated sampling',
    note: 'after two rounds; formula 1 − (1 − s)^(1 + s·n)',
    x: { label: 'sampling rate s (% of all nodes)', from: 0, to: 10 },
    y: { label: 'nodes whose value is known (%)', from: 0, to: 100 },
    series: sizes.flatMap(rows),
  };
}

function messages(seed: number): Plot {
  const sizes = [4, 7, 10, 16, 31, 64, 100];
  const eda = (nodes: number, blocks: number): number | null => {
    const options = { nodes, blocks, failed: 0, byzantine: 0, linksLost: 0, samplingRate: 0.1 };
    const more = { adversary: 'none', seats: 200, epsilonUs: 128, spreadUs: 128e5 } as const;
    const whole = { ...options, ...more, mode: 'committee', profile: 'seele-40' } as const;
    const run = runFull({ ...whole, seeds: [seed] }, 'none', seed);
    return run.finalityMs.length === blocks ? run.world.messages / blocks : null;
  };
  const pbft = (nodes: number) => {
    const run = runPbft({ nodes, failed: 0, linksLost: 0, blocks: 3, seed, delayUs: DELAY_US });
    return run.messages / run.decided;
  };
  return {
    title: 'Messages per final block',
    note: 'all kinds of message counted; PBFT orders one block after the other',
    x: { label: 'validators n', isLog: true },
    y: { label: 'messages per block', isLog: true },
    series: [
      { name: 'EDA, one block', points: sizes.slice(0, -1).map((n) => [n, eda(n, 1)]) },
      { name: 'EDA, n at once', points: sizes.map((n) => [n, eda(n, n)]) },
      { name: 'PBFT', points: sizes.map((n) => [n, pbft(n)]) },
      {
        name: 'PBFT votes, 2n(n − 1)',
        isDashed: true,
        points: sizes.map((n) => [n, 2 * n * (n - 1)]),
      },
    ],
  };
}

function scalability(base: Base, seeds: readonly number[]): Plot {
  const sizes = [100, 300, 1000, 3000, 10_000, 30_000];
  const one = seeds.slice(0, 1);
  const pull = (nodes: number) => worstRounds({ ...base, nodes, mode: 'pull' }, one).rounds;
  const seated = (nodes: number, linksLost: number) =>
    worstRounds({ ...base, nodes, linksLost }, one).rounds;
  return {
    title: 'Rounds against the size of the network',
    note: 'pull: s = 10 %; committee: 200 seats, half or nine tenths of the messages lost',
    x: { label: 'nodes n', isLog: true },
    y: { label: 'rounds until all honest nodes lie within ε', from: 0 },
    series: [
      { name: 'pull, s = 10 %', points: sizes.map((n) => [n, n > 10_000 ? null : pull(n)]) },
      { name: 'committee, 50 % lost', points: sizes.map((n) => [n, seated(n, 0.5)]) },
      { name: 'committee, 90 % lost', points: sizes.map((n) => [n, seated(n, 0.9)]) },
    ],
  };
}

/** Time to finality against the share that is down. */
function failureRate(seed: number): Plot {
  const nodes = 20;
  const shares = [0, 10, 20, 30, 35, 40, 45, 50];
  const eda = (percent: number, profile: 'classic' | 'seele-40' | 'resilient-45') => {
    const failed = Math.round((percent / 100) * nodes) / nodes;
    const options = { nodes, blocks: 10, failed, byzantine: 0, linksLost: 0, samplingRate: 0.1 };
    const more = {
      adversary: 'none',
      seats: 200,
      epsilonUs: 128,
      spreadUs: 128e5,
      profile,
    } as const;
    const run = runFull({ ...options, ...more, mode: 'committee', seeds: [seed] }, 'none', seed);
    const sorted = run.finalityMs.toSorted((a, b) => a - b);
    return sorted.length === 10 ? (sorted[5] ?? null) : null;
  };
  const pbft = (percent: number) => {
    const options = { nodes, linksLost: 0, blocks: 3, seed, delayUs: DELAY_US };
    return runPbft({ ...options, failed: percent / 100 }).finalityMs;
  };
  return {
    title: 'Finality against the share of validators that is down',
    note: '20 validators, links of 1–20 ms, Δ = 50 ms; a line ends where nothing is final any more',
    x: { label: 'failed (%)', from: 0, to: 50 },
    y: { label: 'median finality (ms)', from: 0 },
    series: [
      { name: 'PBFT', points: shares.map((share) => [share, pbft(share)]) },
      { name: 'EDA classic', points: shares.map((share) => [share, eda(share, 'classic')]) },
      { name: 'EDA seele-40', points: shares.map((share) => [share, eda(share, 'seele-40')]) },
      {
        name: 'EDA resilient-45',
        points: shares.map((share) => [share, eda(share, 'resilient-45')]),
      },
    ],
  };
}

/** Writes the figures and returns their names. */
export function writePlots(
  folder: string,
  base: Base,
  seed: number,
  note: (text: string) => void,
): readonly string[] {
  const seeds = [seed, seed + 1, seed + 2];
  const plots: Readonly<Record<string, () => Plot>> = {
    'rounds-by-sampling': () => roundsBySampling(base, seeds),
    coverage: () => coverage(seed),
    messages: () => messages(seed),
    scalability: () => scalability(base, seeds),
    'failure-rate': () => failureRate(seed),
  };
  return Object.entries(plots).map(([name, draw]) => {
    writeFileSync(join(folder, `consensus-${name}.svg`), plotToSvg(draw()));
    note(`figure ${name}`);
    return name;
  });
}
