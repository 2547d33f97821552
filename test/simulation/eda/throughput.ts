/** How many transactions a second a network orders when every validator always has more. */
import { type LinkModel, LINKS_100_MBIT } from './links.ts';
import { World } from './world.ts';

export interface LoadOptions {
  readonly nodes: number;
  readonly seed: number;
  readonly links?: LinkModel;
  readonly delayUs?: readonly [number, number];
  /** The pace: above the delay of nearly all blocks, their way through the uplink counted. */
  readonly deltaUs: number;
  /** Transactions in one block of one validator. */
  readonly batch: number;
  /** Each validator makes a block so often, unless `outstanding` of its blocks are not final. */
  readonly everyUs: number;
  readonly outstanding: number;
  readonly warmUpUs: number;
  readonly measureUs: number;
}

export interface Throughput {
  readonly tps: number;
  readonly finalityMs: number | null;
  readonly messages: number;
  /** Share of all uplinks that votes, ticks and the like took. */
  readonly controlShare: number;
  /** Share of the core that runs consensus. */
  readonly consensusCoreShare: number;
  readonly cuts: number;
  readonly viewsBeyondFirst: number;
  readonly violations: number;
}

/** EDA under a steady load that waits when too much is open. */
export function runEdaLoad(options: LoadOptions): Throughput {
  const { nodes, seed, links = LINKS_100_MBIT, batch, outstanding } = options;
  const { delayUs = [1000, 20_000], warmUpUs, measureUs } = options;
  const world = new World({
    seed,
    nodes,
    links,
    delayUs,
    parameters: { deltaUs: options.deltaUs },
  });
  const open = Array.from({ length: nodes }, () => 0);
  let seenCuts = 0;
  const finality: number[] = [];
  const startUs = 500_000;
  const fromUs = world.timeUs + startUs + warmUpUs;
  const collect = () => {
    for (const { body, atUs } of world.cuts.slice(seenCuts))
      for (const { author, hash } of body.entries) {
        open[author] = (open[author] as number) - 1;
        if (atUs < fromUs) continue;
        finality.push(atUs - (world.submittedAt.get(hash) ?? atUs));
      }
    seenCuts = world.cuts.length;
  };
  /** Validators make blocks in turn, evenly over the interval, as their own timers would. */
  const author = (index: number) => () => {
    collect();
    if ((open[index] as number) < outstanding && world.submit(index, batch))
      open[index] = (open[index] as number) + 1;
    world.at(options.everyUs, author(index));
  };
  for (let i = 0; i < nodes; i++)
    world.at(startUs + Math.floor((i * options.everyUs) / nodes), author(i));
  world.run(startUs + warmUpUs + measureUs);
  collect();
  finality.sort((a, b) => a - b);
  const p50 = finality[finality.length >> 1];
  const wholeUs = (startUs + warmUpUs + measureUs) * nodes;
  const bits = world.links?.sentBits.control ?? 0;
  return {
    tps: rateOf(world.cuts.filter(({ atUs }) => atUs >= fromUs)) * batch,
    finalityMs: p50 === undefined ? null : p50 / 1000,
    messages: world.messages,
    controlShare: bits / ((links.bitsPerSecond * wholeUs) / 1e6),
    consensusCoreShare: (world.links?.consensusUs ?? 0) / wholeUs,
    cuts: world.cuts.length,
    viewsBeyondFirst: world.cuts.filter(({ certificate }) => certificate.view > 0).length,
    violations: world.invariants.violations.length,
  };
}

/** Blocks a second between the first and the last cut, by the times the cuts reach to. */
function rateOf(cuts: World['cuts']): number {
  const [first, last] = [cuts[0], cuts.at(-1)];
  if (!first || !last || first === last) return 0;
  let blocks = 0;
  for (const { body } of cuts.slice(1)) blocks += body.entries.length;
  return (blocks * 1e6) / (last.body.timeUs - first.body.timeUs);
}

/** Transactions a second of PBFT between its first and its last block after `fromUs`. */
export function pbftRate(
  ordered: readonly { readonly atUs: number; readonly transactions: number }[],
  fromUs: number,
): number {
  const counted = ordered.filter(({ atUs }) => atUs >= fromUs);
  const [first, last] = [counted[0], counted.at(-1)];
  if (!first || !last || first === last) return 0;
  const sum = counted.slice(1).reduce((total, { transactions }) => total + transactions, 0);
  return (sum * 1e6) / (last.atUs - first.atUs);
}
