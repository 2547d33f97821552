/** Seeds of the consensus simulation, and the broken rules that must be noticed. */
import { fuzzEda } from '../simulation/eda/simulate.ts';
import { type Bench, cpuSeconds, significant } from './harness.ts';

const SEEDS = 300;
const SEEDS_FULL = 10_000;

export const bench: Bench = async ({ full, seed, note, seeds = full ? SEEDS_FULL : SEEDS }) => {
  const began = cpuSeconds();
  const report = fuzzEda(seed, seed + seeds - 1, true, (at) => {
    if ((at - seed) % 100 === 99) note(`${at - seed + 1} of ${seeds} seeds`);
  });
  const mutants = Object.fromEntries(
    report.mutants.map(({ name, seed: caughtBy, seeds: tried, invariant }) => [
      name.replaceAll(' ', '-'),
      { seeds: caughtBy === null ? null : tried, invariant },
    ]),
  );
  return {
    figures: {
      seedsTried: report.seedsTried,
      violations: report.violations,
      checked: report.checked,
      cuts: report.cuts,
      viewsBeyondFirst: report.viewsBeyondFirst,
      crashes: report.crashes,
      virtualSeconds: report.virtualSeconds,
      mutantsTried: report.mutantsTried,
      mutantsCaught: report.mutantsCaught,
      mutants,
      cpuSeconds: significant(cpuSeconds() - began),
    },
  };
};
