/** Cuts of the order as pure functions: hashes, what anybody can verify, and the derived cut. */
import { hashOf } from '#libs/crypto';
import { encodeCbor, encodeWith, utf8 } from '#libs/kernel';
import { appendToFrontier, EMPTY_FRONTIER, frontierRoot, logLeafHash } from '#libs/merkle';
import {
  type BlockName,
  type Body,
  type CutEntry,
  type NewView,
  ENTRIES_MAX,
  bodyShape,
} from './messages.ts';
import type { EdaRules } from './rules.ts';
import type { Roots } from './types.ts';
import type { ValidatorSet } from './validator-set.ts';
import { lowerWeightedMedian } from './weighted.ts';

export const CUT_DOMAIN = 'seele/eda-cut/1';
export const ZERO_HASH = '00'.repeat(32);

/** Last final block of one author in one era. */
export interface ChainEnd {
  readonly seq: number;
  readonly raw: number;
  readonly hash: string;
}
export const CHAIN_START: ChainEnd = { seq: 0, raw: 0, hash: ZERO_HASH };

/** Everything a cut is judged by. */
export interface CutContext {
  readonly chain: string;
  readonly era: number;
  readonly slot: number;
  readonly prevHash: string;
  readonly prevTimeUs: number;
  readonly set: ValidatorSet;
  readonly nextSetHash: string;
  /** State after the slot before. */
  readonly roots: Roots;
  readonly endOf: (era: number, author: number) => ChainEnd;
}

const hashes = new WeakMap<Body, string>();

/** RFC 9162 root over the entries: a client proves one block's place without the others. */
export function orderRoot(entries: readonly CutEntry[]): string {
  const leaves = entries.map(({ era, author, seq, hash, pos }) =>
    logLeafHash(encodeCbor([era, author, seq, utf8(hash), pos])),
  );
  return frontierRoot(appendToFrontier(EMPTY_FRONTIER, leaves));
}

/** H: hash of the cut with its entries replaced by their root (the header). */
export function cutHash(body: Body): string {
  const known = hashes.get(body);
  if (known !== undefined) return known;
  const head = encodeWith(bodyShape, { ...body, entries: [] });
  const count = encodeCbor([orderRoot(body.entries), body.entries.length]);
  const hash = hashOf(CUT_DOMAIN, encodeCbor([head, count]));
  hashes.set(body, hash);
  return hash;
}

const ties = new Map<string, string>();
const TIES_MAX = 4096;

/** Order among blocks of equal position: nobody can choose it before the slot before is final. */
function tieOf(prevHash: string, { era, author }: BlockName): string {
  const text = `${prevHash}/${era}/${author}`;
  const known = ties.get(text);
  if (known !== undefined) return known;
  if (ties.size >= TIES_MAX) ties.clear();
  const tie = hashOf('seele/eda-tie/1', utf8(text));
  ties.set(text, tie);
  return tie;
}

/** Order of a cut: (pos, raw, tie by author, seq). */
export function compareEntries(prevHash: string, a: CutEntry, b: CutEntry): number {
  if (a.pos !== b.pos) return a.pos - b.pos;
  if (a.raw !== b.raw) return a.raw - b.raw;
  if (a.era !== b.era || a.author !== b.author)
    return tieOf(prevHash, a) < tieOf(prevHash, b) ? -1 : 1;
  return a.seq - b.seq;
}

export interface Candidate extends BlockName {
  readonly x: number;
}

/** Entries of a cut up to `timeUs`: contiguous per author, positions, order, at most 4096. */
export function arrange(
  context: CutContext,
  candidates: readonly Candidate[],
  timeUs: number,
  rules: EdaRules,
): CutEntry[] {
  const chains = new Map<string, Candidate[]>();
  for (const candidate of candidates) {
    if (candidate.era !== context.era && candidate.era !== context.era - 1) continue;
    const key = `${candidate.era}/${candidate.author}`;
    const chain = chains.get(key);
    if (chain) chain.push(candidate);
    else chains.set(key, [candidate]);
  }
  const entries: CutEntry[] = [];
  for (const chain of chains.values()) {
    chain.sort((a, b) => a.seq - b.seq || (a.hash < b.hash ? -1 : 1));
    const first = chain[0] as Candidate;
    let { seq: last, raw } = context.endOf(first.era, first.author);
    for (const { x, era, author, seq, hash } of chain) {
      if (seq <= last) continue;
      if (rules.contiguity && seq !== last + 1) break;
      raw = Math.max(raw, x);
      const pos = Math.max(raw, context.prevTimeUs + 1);
      if (!(pos <= timeUs) || (!rules.lateBlocksMove && raw <= context.prevTimeUs)) break;
      entries.push({ era, author, seq, hash, pos, raw });
      last = seq;
    }
  }
  entries.sort((a, b) => compareEntries(context.prevHash, a, b));
  return entries.slice(0, ENTRIES_MAX);
}

/** The cut that weight Q of NEWVIEWs without a lock define: no word of the leader in it. */
export function deriveCut(
  context: CutContext,
  newViews: readonly { readonly weight: number; readonly message: NewView }[],
  rules: EdaRules,
): { readonly timeUs: number; readonly entries: CutEntry[] } {
  let total = 0;
  for (const { weight } of newViews) total += weight;
  const weights = newViews.map(({ weight }) => weight);
  const times = newViews.map(({ message }) => message.timeUs);
  const timeUs = Math.max(context.prevTimeUs + 1, lowerWeightedMedian(times, weights));
  const votes = new Map<string, { name: BlockName; xs: number[]; weights: number[] }>();
  for (const { weight, message } of newViews) {
    const seen = new Set<string>();
    for (const { x, ...name } of message.reports) {
      const key = `${name.era}/${name.author}/${name.seq}/${name.hash}`;
      if (seen.has(key)) continue;
      seen.add(key);
      const vote = votes.get(key) ?? { name, xs: [], weights: [] };
      votes.set(key, vote);
      vote.xs.push(x);
      vote.weights.push(weight);
    }
  }
  const candidates: Candidate[] = [];
  for (const { name, xs, weights: by } of votes.values()) {
    const x = lowerWeightedMedian(xs, by, total);
    if (x !== Number.POSITIVE_INFINITY) candidates.push({ ...name, x });
  }
  return { timeUs, entries: arrange(context, candidates, timeUs, rules) };
}

/** What every voter checks in every view, without knowing anything but the chain: the fault found. */
export function faultOf(context: CutContext, body: Body, rules: EdaRules): string | undefined {
  const { roots } = context;
  if (body.chain !== context.chain) return 'another chain';
  if (body.era !== context.era || body.slot !== context.slot) return 'not the next slot';
  if (body.prevHash !== context.prevHash) return 'another predecessor';
  if (body.setHash !== context.set.hash || body.nextSetHash !== context.nextSetHash)
    return 'another validator set';
  if (
    body.stateRoot !== roots.stateRoot ||
    body.receiptsRoot !== roots.receiptsRoot ||
    body.outboxRoot !== roots.outboxRoot
  )
    return 'another state';
  if (body.timeUs <= context.prevTimeUs) return 'time does not grow';
  if (body.entries.length > ENTRIES_MAX) return 'too many entries';
  const ends = new Map<string, { seq: number; raw: number }>();
  let before: CutEntry | undefined;
  for (const entry of body.entries) {
    const { era, author, seq, pos, raw } = entry;
    if (era !== context.era && era !== context.era - 1) return 'a block of a closed era';
    if (pos > body.timeUs || pos !== Math.max(raw, context.prevTimeUs + 1))
      return 'a position outside the cut';
    const key = `${era}/${author}`;
    const end = ends.get(key) ?? context.endOf(era, author);
    if (seq <= end.seq || (rules.contiguity && seq !== end.seq + 1)) return 'a gap or a repetition';
    if (raw < end.raw) return 'an author going backwards';
    ends.set(key, { seq, raw });
    if (before && compareEntries(context.prevHash, before, entry) >= 0) return 'wrong order';
    before = entry;
  }
  return undefined;
}
