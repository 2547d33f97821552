/** How a step of a generated history is judged against the model of it. */
import { type Bytes, type Codec, decodeWith } from '#libs/kernel';
import type { HarnessOutcome } from '#libs/ledger';
import { CONTRACT_ERRORS } from '../errors.ts';
import { type Tally, Violation } from './orders-stage.ts';

export function expectSame(what: string, seen: unknown, wanted: unknown): void {
  if (seen !== wanted)
    throw new Violation(`${what} is ${String(seen)} where ${String(wanted)} is right`);
}

/** Values are compared after every step and mostly unchanged, so each is decoded once. */
const decodedValues = new WeakMap<Bytes, unknown>();

export function decoded<T>(codec: Codec<T>, bytes: Bytes): T;
export function decoded<T>(codec: Codec<T>, bytes: Bytes | undefined): T | undefined;
export function decoded<T>(codec: Codec<T>, bytes: Bytes | undefined): T | undefined {
  if (!bytes) return undefined;
  if (!decodedValues.has(bytes)) decodedValues.set(bytes, decodeWith(codec, bytes));
  return decodedValues.get(bytes) as T;
}

/**
 * The contract must do what the model says, and refuse by name what it refuses. Counts what happened.
 *
 * @throws Violation
 */
export function judge(
  kind: string,
  outcome: HarnessOutcome<unknown>,
  isAllowed: boolean,
  tally: Tally,
): void {
  if (outcome.ok !== isAllowed)
    throw new Violation(`${kind} was ${outcome.ok ? 'allowed' : `refused (${outcome.code})`}`);
  if (
    !outcome.ok &&
    !(outcome.status === 'reverted' && Object.hasOwn(CONTRACT_ERRORS, outcome.code))
  )
    throw new Violation(`${kind}: ${outcome.status} with ${outcome.code}`);
  const key = outcome.ok ? kind : outcome.code;
  tally.set(key, (tally.get(key) ?? 0) + 1);
}
