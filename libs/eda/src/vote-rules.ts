/**
 * When a validator may vote, and for what: the whole of safety, as functions of a few values. The
 * reducer and the exhaustive checker run this same code.
 */
import type { EdaRules } from './rules.ts';

/** A vote or certificate of PREPAREs: for which hash, in which view. */
export interface Lock {
  readonly view: number;
  readonly hash: string;
}

/** What a validator may never forget within a slot. */
export interface VoteState {
  /** Highest view it entered; it votes in no lower one. */
  readonly view: number;
  /** Its last PREPARE. */
  readonly prepared?: Lock;
  /** Its last COMMIT. */
  readonly committed?: Lock;
  /** The highest certificate of PREPAREs it knows. */
  readonly lock?: Lock;
}

/** One PREPARE per view, only in the current view. */
export function mayPrepare(state: VoteState, view: number): boolean {
  return view === state.view && (state.prepared === undefined || state.prepared.view < view);
}

/** One COMMIT per view, only for the current view. */
export function mayCommit(state: VoteState, view: number, rules: EdaRules): boolean {
  const isCurrent = rules.noCommitAfterNewView ? view === state.view : view <= state.view;
  return isCurrent && (state.committed === undefined || state.committed.view < view);
}

/** The lock after a certificate of `lock.view` was seen: it only ever rises. */
export function raiseLock(state: VoteState, lock: Lock): VoteState {
  return state.lock !== undefined && state.lock.view >= lock.view ? state : { ...state, lock };
}

/** What a NEWVIEW reports. */
export function reportedLock(state: VoteState, rules: EdaRules): Lock | undefined {
  return rules.lockInNewView ? state.lock : undefined;
}

/**
 * What a justification (weight Q of NEWVIEWs) binds its view to: the hash of the highest lock
 * reported, or undefined when the body is to be derived from the NEWVIEWs.
 */
export function boundHash(locks: readonly (Lock | null | undefined)[]): string | undefined {
  let highest: Lock | undefined;
  for (const lock of locks)
    if (lock && (highest === undefined || lock.view > highest.view)) highest = lock;
  return highest?.hash;
}
