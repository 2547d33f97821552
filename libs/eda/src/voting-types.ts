/** What the voting of a slot needs from the node around it. */
import type { Bytes } from '#libs/kernel';
import type { CutContext } from './cuts.ts';
import type { Body, Certificate, CutEntry, Report, Sealed, SignedKind, Vote } from './messages.ts';
import type { EdaRules } from './rules.ts';
import type { Authenticator, EdaEffect, JournalRecord } from './types.ts';
import type { ValidatorSet } from './validator-set.ts';

export type VotingRecord = Extract<JournalRecord, { kind: 'vote' }>;

/** Fixed for a slot. */
export interface SlotContext {
  readonly chain: string;
  readonly era: number;
  readonly slot: number;
  readonly prevHash: string;
  readonly prevTimeUs: number;
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
  isSame(kind: SignedKind, a: Sealed<unknown>, b: Sealed<unknown>): boolean;
  decided(body: Body, certificate: Certificate, nowUs: number, out: EdaEffect[]): void;
}

export type AddBallot = (
  kind: 'prepare' | 'commit',
  sealed: Sealed<Vote>,
  out: EdaEffect[],
) => boolean;
