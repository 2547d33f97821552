/** What a voter makes of a proposal and of a certificate. */
import type { Bytes } from '#libs/kernel';
import { signersIn } from './aggregate.ts';
import { cutHash, deriveCut, faultOf } from './cuts.ts';
import type {
  Aggregate,
  Body,
  Certificate,
  EdaMessage,
  NewView,
  Proposal,
  Sealed,
  Vote,
} from './messages.ts';
import type { EdaEffect } from './types.ts';
import type { ValidatorSet } from './validator-set.ts';
import { boundHash } from './vote-rules.ts';
import type { SlotContext, VotingHost } from './voting-types.ts';

export function weighed(set: ValidatorSet, newViews: readonly Sealed<NewView>[]) {
  return newViews.map(({ from, message }) => ({ weight: set.weights[from] ?? 0, message }));
}

/** The vote that a certificate's signatures are over. */
export function voteOf({ chain, era, slot }: SlotContext, { view, hash }: Certificate): Vote {
  return { chain, era, slot, view, hash };
}

/** Weight of the votes of a certificate; 0 when one of them is forged or counted twice. */
export function genuineWeight(
  set: ValidatorSet,
  certificate: Certificate,
  isGenuine: (from: number, signature: Bytes) => boolean,
): number {
  const seen = new Set<number>();
  let weight = 0;
  for (const { from, signature } of certificate.votes) {
    if (seen.has(from) || !isGenuine(from, signature)) return 0;
    seen.add(from);
    weight += set.weights[from] ?? 0;
  }
  return weight;
}

/** Weight of a certificate in the form its set votes in: single votes, or a checked sum; else 0. */
export function certificateWeight(
  set: ValidatorSet,
  certificate: Certificate,
  isGenuine: (from: number, signature: Bytes) => boolean,
  sumWeight: (aggregate: Aggregate) => number,
): number {
  const { aggregate, votes } = certificate;
  if (!set.isLarge) return aggregate === undefined ? genuineWeight(set, certificate, isGenuine) : 0;
  return aggregate && votes.length === 0 ? sumWeight(aggregate) : 0;
}

/** Who signed a certificate. */
export function signersOf({ aggregate, votes }: Certificate): number[] {
  return aggregate ? signersIn(aggregate.signers) : votes.map(({ from }) => from);
}

/** Weight of a justification; 0 when one of it is of another view, counted twice or not valid. */
export function justifyingWeight(
  set: ValidatorSet,
  view: number,
  justification: readonly Sealed<NewView>[],
  isValid: (newView: Sealed<NewView>) => boolean,
): number {
  const seen = new Set<number>();
  let weight = 0;
  for (const newView of justification) {
    if (newView.message.view !== view || seen.has(newView.from) || !isValid(newView)) return 0;
    seen.add(newView.from);
    weight += set.weights[newView.from] ?? 0;
  }
  return weight;
}

/** Accept, wait for what is missing here, or leave the view. The justification was checked before. */
export function verdictOnProposal(
  host: VotingHost,
  set: ValidatorSet,
  proposal: Proposal,
  leader: number,
  nowUs: number,
): 'accept' | 'wait' | 'refuse' {
  const { view, body, justification } = proposal;
  const bound = boundHash(justification.map(({ message }) => message.highQc));
  // Weight Q prepared it: all checks were made.
  if (bound !== undefined) return cutHash(body) === bound ? 'accept' : 'refuse';
  const context = host.context();
  if (!context) return 'wait';
  if (faultOf(context, body, host.rules) !== undefined) return 'refuse';
  if (!host.isCreator(body, leader)) return 'refuse';
  if (view === 0) return host.localVerdict(context, body, nowUs);
  const derived = deriveCut(context, weighed(set, justification), host.rules);
  const expected: Body = { ...body, timeUs: derived.timeUs, entries: derived.entries };
  if (cutHash(expected) !== cutHash(body)) return 'refuse';
  if (host.rules.derivedWithoutLocalChecks) return 'accept';
  return host.localVerdict(context, body, nowUs);
}

/** Who signed the lock on `hash` that a justification holds: they have its body. */
export function lockSigners(justification: readonly Sealed<NewView>[], hash: string): number[] {
  const newView = justification.find(({ message }) => message.highQc?.hash === hash);
  return newView?.message.highQc ? signersOf(newView.message.highQc) : [];
}

/** Of large sets so many are asked at once. */
const ASKED_MAX = 8;

/** Asks signers for a body; `turn` says where to begin when there are many. */
export function bodyFetches(
  hash: string,
  signers: readonly number[],
  set: ValidatorSet,
  me: number,
  turn: number,
): EdaEffect[] {
  const from = set.isLarge && signers.length > ASKED_MAX ? (me + turn) % signers.length : 0;
  const asked = set.isLarge ? signers.toSpliced(0, from).slice(0, ASKED_MAX) : signers;
  return asked.flatMap((index): EdaEffect[] => {
    const to = set.validators[index]?.publicKey;
    if (to === undefined || index === me) return [];
    const message: EdaMessage = { kind: 'fetch', blocks: [], bodies: [hash], finalsFrom: null };
    return [{ kind: 'send', to, message }];
  });
}
