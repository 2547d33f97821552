/**
 * Replicas of one task: what to do next, given what they answered. Results are compared by hash; an
 * exit that the guest caused is an answer too, since everybody would get it.
 */
import type { QuorumTerms } from './collusion.ts';

/** What one replica came to: equal keys are equal results. */
export interface ReplicaAnswer {
  readonly replica: number;
  readonly provider: string;
  /** Exit and result hash in one string; see `answerKey`. */
  readonly key: string;
}

export type ReplicaDecision =
  /** So many more replicas are wanted now, on operators that have none yet. */
  | { readonly kind: 'more'; readonly replicas: number }
  /** Wait for those at work. */
  | { readonly kind: 'wait' }
  | {
      readonly kind: 'accepted';
      readonly key: string;
      readonly agreeing: readonly ReplicaAnswer[];
      /** They answered something else: not paid. */
      readonly odd: readonly ReplicaAnswer[];
    }
  /** All replicas answered, and no quorum. */
  | { readonly kind: 'undecided'; readonly odd: readonly ReplicaAnswer[] };

/** Equal for equal results of a bit-exact comparison. */
export const answerKey = (exit: string, result: string | undefined): string =>
  `${exit} ${result ?? ''}`;

/** Order of arrival decides nothing but when it is known. */
function largestGroup(answers: readonly ReplicaAnswer[]): readonly ReplicaAnswer[] {
  const groups = new Map<string, ReplicaAnswer[]>();
  for (const answer of answers) {
    const group = groups.get(answer.key) ?? [];
    group.push(answer);
    groups.set(answer.key, group);
  }
  let largest: readonly ReplicaAnswer[] = [];
  for (const group of groups.values()) if (group.length > largest.length) largest = group;
  return largest;
}

/**
 * Judges a task. `pending` replicas are at work or waiting for a provider. One answer per provider
 * counts: replicas of one provider are one voice.
 */
export function judgeReplicas(
  terms: QuorumTerms,
  answers: readonly ReplicaAnswer[],
  pending: number,
): ReplicaDecision {
  const voices = [...new Map(answers.map((answer) => [answer.provider, answer])).values()];
  const group = largestGroup(voices);
  if (group.length >= terms.quorum) {
    const key = group[0]?.key as string;
    const odd = voices.filter((answer) => answer.key !== key);
    return { kind: 'accepted', key, agreeing: group, odd };
  }
  const missing = terms.quorum - group.length;
  const left = terms.most - voices.length;
  // Even if all that can still come agreed, it would be too few.
  if (left < missing && pending === 0) return { kind: 'undecided', odd: voices };
  const wanted = Math.min(missing, left) - pending;
  return wanted > 0 ? { kind: 'more', replicas: wanted } : { kind: 'wait' };
}

/** Whom a further replica may go to: nobody whose operator has one of this task. */
export function isDistinctOperator(
  operator: string,
  taken: readonly { readonly operator: string }[],
): boolean {
  return taken.every((other) => other.operator !== operator);
}
