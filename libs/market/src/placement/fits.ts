/**
 * Who could take a job of some shape, by cell, and what bounds each cell from below. It follows from
 * offers alone, so orders of one shape share it until an offer changes.
 */
import type { DomainName, Level } from '#libs/scheduler';
import { type Misfit, cellOf, domainsOf, misfitOf } from '../fitting.ts';
import type { JobNeeds } from '../model/rows.ts';
import { priceAtLimits } from '../pricing.ts';
import type { ProviderState } from '../state.ts';

/** Benchmark score that run times are told in: a machine twice as good needs half as long. */
export const REFERENCE_SCORE = 1000;
const SHAPES_MAX = 64;

export interface Candidate {
  readonly provider: ProviderState;
  /** At the job's limits, exact and as a number. */
  readonly price: bigint;
  readonly priceUnits: number;
  readonly nodeClass: string;
  /** Times that its run takes of a run at the reference score. */
  readonly pace: number;
}

export interface FitCell {
  readonly name: string;
  readonly domain: DomainName;
  readonly level: Level['name'];
  readonly candidates: readonly Candidate[];
  readonly leastPrice: number;
  /** Class of machine → the best pace in it. */
  readonly paces: ReadonlyMap<string, number>;
}

/** Without a price cap: that one is looked at with each order. */
export interface Fit {
  readonly cells: readonly FitCell[];
  readonly bestPace: number;
  /** Providers that can never take it, by the first filter that each one meets. */
  readonly left: ReadonlyMap<Misfit, number>;
}

/** Machines of one architecture and about one speed are alike. */
export function nodeClassOf({
  architecture,
  benchmarkScore,
}: ProviderState['row']['offer']): string {
  const speed = Math.round(2 * Math.log2(Math.max(1, benchmarkScore)));
  return `${architecture}/${speed}`;
}

export const paceOfScore = (score: number): number => REFERENCE_SCORE / Math.max(1, score);

function candidateOf(provider: ProviderState, needs: JobNeeds): Candidate {
  const { offer } = provider.row;
  const price = priceAtLimits(offer, needs.limits);
  return {
    ...{ provider, price, priceUnits: Number(price) },
    nodeClass: nodeClassOf(offer),
    pace: paceOfScore(offer.benchmarkScore),
  };
}

function fitOf(providers: Iterable<ProviderState>, needs: JobNeeds): Fit {
  const cells = new Map<string, Candidate[]>();
  const left = new Map<Misfit, number>();
  for (const provider of providers) {
    const misfit = misfitOf(provider.row.offer, needs, undefined);
    if (misfit) {
      left.set(misfit, (left.get(misfit) ?? 0) + 1);
      continue;
    }
    const name = cellOf(provider.row.offer);
    const candidates = cells.get(name) ?? [];
    candidates.push(candidateOf(provider, needs));
    cells.set(name, candidates);
  }
  const made = [...cells].map(([name, candidates]) => toCell(name, candidates));
  const bestPace = Math.min(...made.flatMap(({ paces }) => [...paces.values()]));
  return { cells: made, bestPace: Number.isFinite(bestPace) ? bestPace : 1, left };
}

function toCell(name: string, candidates: readonly Candidate[]): FitCell {
  const paces = new Map<string, number>();
  let leastPrice = Infinity;
  for (const { nodeClass, pace, priceUnits } of candidates) {
    leastPrice = Math.min(leastPrice, priceUnits);
    paces.set(nodeClass, Math.min(pace, paces.get(nodeClass) ?? Infinity));
  }
  const [domain, level] = name.split('.') as [DomainName, Level['name']];
  return { name, domain, level, candidates, leastPrice, paces };
}

/** What decides who fits, in one text. */
function shapeOf(needs: JobNeeds): string {
  const { cpuMs, wallMs, memoryBytes } = needs.limits;
  const { levels = [], regions = [] } = needs.placement ?? {};
  const numbers = [needs.cores, needs.memoryBytes, needs.diskBytes, cpuMs, wallMs, memoryBytes];
  const words = [needs.kind ?? 'js', needs.minIsolation, domainsOf(needs), levels, regions];
  return [...numbers, ...words.map(String)].join(' ');
}

export class FitCache {
  readonly #byShape = new Map<string, Fit>();

  /** An offer came or changed. */
  forget(): void {
    this.#byShape.clear();
  }

  of(providers: ReadonlyMap<string, ProviderState>, needs: JobNeeds): Fit {
    const shape = shapeOf(needs);
    const known = this.#byShape.get(shape);
    if (known) return known;
    const fit = fitOf(providers.values(), needs);
    if (this.#byShape.size >= SHAPES_MAX)
      this.#byShape.delete(this.#byShape.keys().next().value as string);
    this.#byShape.set(shape, fit);
    return fit;
  }
}
