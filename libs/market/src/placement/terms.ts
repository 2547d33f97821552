/** What a job says about where it may run and what matters to it, beyond its tier. */
import {
  type CodecValue,
  cid,
  float,
  hash32,
  list,
  oneOf,
  optional,
  record,
  text,
  u64,
  uint,
  variant,
} from '#libs/kernel';
import { DOMAIN_BITS, type DomainName, LEVELS, type Level } from '#libs/scheduler';

type LevelName = Level['name'];

export const domainName = oneOf(...(Object.keys(DOMAIN_BITS) as [DomainName, ...DomainName[]]));
export const levelName = oneOf(...(Object.keys(LEVELS) as [LevelName, ...LevelName[]]));

/** Lower-case letters, digits and dashes, as the provider states it. */
const REGION = /^[a-z0-9][a-z0-9-]{0,39}$/;
export const PRIORITY_MAX = 9;
/** Where nothing is said. */
export const PRIORITY_PRESET = 5;

const weight = uint(1000);

/** All optional: nothing said means the presets of the tier. */
export const placementTerms = record({
  /** How much cost, time and risk matter, against each other; instead of the tier's weights. */
  weights: optional(record({ cost: weight, time: weight, risk: weight })),
  /** Only these domains. */
  domains: optional(list(domainName, 4)),
  /** Only these levels. */
  levels: optional(list(levelName, 4)),
  /** Only providers that state one of these regions. */
  regions: optional(list(text(40), 16)),
  /** Among the same account's waiting orders the higher goes first; 0 to 9. */
  priority: optional(uint(PRIORITY_MAX)),
});
export type PlacementTerms = CodecValue<typeof placementTerms>;

/** What is wrong with the terms, in words; undefined when nothing is. */
export function placementProblem({ weights, domains, levels, regions }: PlacementTerms) {
  if (weights && weights.cost + weights.time + weights.risk === 0)
    return 'at least one weight of cost, time and risk must be above 0';
  const empty = Object.entries({ domains, levels, regions }).find(
    ([, names]) => names?.length === 0,
  );
  if (empty) return `placement.${empty[0]} permits nothing: name one, or leave it out`;
  const wrong = regions?.find((region) => !REGION.test(region));
  return wrong === undefined
    ? undefined
    : `region ${JSON.stringify(wrong)} is not lower-case letters, digits and dashes`;
}

/** Content a job reads: who holds it already is nearer to the job. */
export const inputRef = record({ cid, sizeBytes: uint() });

/** What was foreseen when an order was taken on, and what a quote promised. */
export const forecast = record({
  /** Milliseconds from acceptance to the accepted delivery: expected, and the ends of the interval. */
  ...{ finishMs: uint(), lowMs: uint(), highMs: uint() },
  /** Which interval it is: errors are compared within one class only. */
  errorClass: uint(8),
  /** With a quote: its id, and the most that may be charged whatever the order's cap says. */
  quote: optional(hash32),
  price: optional(u64),
});
export type Forecast = CodecValue<typeof forecast>;

/** What the market learned, in pieces small enough to be stored as they change. */
export const learnedRow = record({
  version: uint(),
  what: variant({
    /** Run times of like jobs: count, sum and sum of squares of logarithms. */
    runs: record({ name: text(300), count: uint(), sum: float, squares: float }),
    /** Errors of predictions of one class, oldest first. */
    errors: record({ pool: text(20), errors: list(float, 512) }),
    /** Means of one code's use, for prices and for its class of work. */
    use: record({ code: cid, runs: uint(), cpuMs: float, wallMs: float, peakBytes: float }),
    slowdowns: record({ logs: list(float, 256) }),
    /** Quotes that came to an end: how many were kept, and why the others were not. */
    quotes: record({ ended: uint(), kept: uint(), late: uint(), dear: uint(), failed: uint() }),
    /** Share of its offered slots that a provider is believed to have. */
    trust: record({ provider: hash32, share: float }),
  }),
});
export type LearnedRow = CodecValue<typeof learnedRow>;
