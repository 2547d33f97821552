/** What the voting of a slot needs from the node around it. */
import type { Bytes } from '#libs/kernel';
import type { CutContext } from './cuts.ts';
import type { EdaMessage, Body, Certificate, CutEntry, MessageOf, Report } from './messages.ts';
import type { EdaRules } from './rules.ts';
import type { Authenticator, EdaEffect, JournalRecord } from './types.ts';
import type { ValidatorSet } from './validator-set.ts';
import type { VoteState } from './vote-rules.ts';

export type VotingRecord = Extract<JournalRecord, { kind: 'vote' }>;

/** Fixed for a slot. */
export interface SlotContext {
  readonly chain: string;
  readonly era: number;
  readonly slot: number;
  readonly prevHash: string;
  readonly prevTimeUs: number;
  /**
   * From when on the first leader proposes, by the local clock: one cut interval after the slot before
   * opened, so that voting and executing do not add to the interval.
   */
  readonly openAtUs: number;
  readonly set: ValidatorSet;
  readonly beacon: Bytes;
}

export interface VotingHost {
  readonly auth: Authenticator;
  readonly rules: EdaRules;
  readonly deltaUs: number;
  readonly cutIntervalUs: number;
  /** Own index in the slot's set, or -1. */
  readonly myIndex: number;
  /** Undefined until the slot before is executed. */
  context(): CutContext | undefined;
  backlog(nowUs: number): { readonly isListable: boolean; readonly isOverdue: boolean };
  /** The cut this node would propose in view 0. */
  firstCut(
    context: CutContext,
    nowUs: number,
  ): { readonly timeUs: number; readonly entries: readonly CutEntry[] } | undefined;
  completeBody(context: CutContext, timeUs: number, entries: readonly CutEntry[]): Body;
  isCreator(body: Body, leader: number): boolean;
  localVerdict(context: CutContext, body: Body, nowUs: number): 'accept' | 'wait' | 'refuse';
  cutTimeUs(nowUs: number): number;
  reports(): readonly Report[];
  signedTime(timeUs: number): void;
  decided(body: Body, certificate: Certificate, nowUs: number, out: EdaEffect[]): void;
}

/** Timer of view 0 beyond the cut interval, and of each later view, in Δ. */
export const TIMER_DELTAS = 8;
/** Own votes of an unfinished slot are sent again after so many Δ. */
export const RESEND_DELTAS = 4;
const DOUBLINGS_MAX = 5;
const VIEWS_PER_DOUBLING = 4;

/** How long a later view may take: doubled every four views, 32 times at most. */
export function viewTimeoutUs(view: number, deltaUs: number): number {
  const doublings = Math.min(DOUBLINGS_MAX, Math.floor(view / VIEWS_PER_DOUBLING));
  return TIMER_DELTAS * deltaUs * 2 ** doublings;
}

export type OwnMessage = MessageOf<'newview' | 'proposal' | 'prepare' | 'commit'>;
/** Own signed messages of a slot, to be sent again. */
export type OwnMessages = { readonly [K in OwnMessage['kind']]?: OwnMessage };

/** What a vote leaves in the journal: enough to go on as if nothing had happened. */
export function votingRecord(
  { slot, prevTimeUs }: SlotContext,
  { view, prepared, committed }: VoteState,
  highQc: Certificate | undefined,
  bodies: ReadonlyMap<string, Body>,
  sent: readonly EdaMessage[],
): VotingRecord {
  const kept = new Set<Body>();
  for (const hash of [prepared?.hash, highQc?.hash]) {
    const body = hash === undefined ? undefined : bodies.get(hash);
    if (body) kept.add(body);
  }
  return {
    kind: 'vote',
    slot,
    view,
    prepared: prepared ?? null,
    committed: committed ?? null,
    highQc: highQc ?? null,
    bodies: [...kept],
    sent,
    floorUs: prevTimeUs,
  };
}
