/** A task of the scenario, its replicas, and what they answer. */
import type { SeededRandomness } from '#libs/kernel';
import { type ReplicaAnswer, type VerificationRegime, isTrusted } from '#libs/market';
import type { Floors, TaskShape, Weights } from '#libs/scheduler';
import type { SimProvider } from './scenario.ts';

/** What everybody asks in the same way. */
export interface JobClass {
  readonly owner: string;
  readonly code: string;
  readonly shape: TaskShape;
  readonly weights: Weights;
  readonly floors: Omit<Floors, 'deadlineMs'>;
  readonly deadlineMs: number;
  readonly regime: VerificationRegime;
}

/** One run of a task on one provider. */
export interface Attempt {
  readonly task: SimTask;
  readonly provider: SimProvider;
  readonly price: bigint;
  readonly beganMs: number;
  /** When it ends, or ended because its provider left. */
  endedMs: number;
  state: 'running' | 'done' | 'lost';
}

export interface SimTask {
  readonly id: number;
  readonly job: JobClass;
  /** On a machine of speed 1. */
  readonly workMs: number;
  readonly submittedMs: number;
  readonly attempts: Attempt[];
  readonly answers: ReplicaAnswer[];
  /** Replicas at work or waiting for a machine. */
  pending: number;
  /** The single answer is to be compared. */
  isChecked: boolean;
  /** Judged by quorum from now on. */
  isCompared: boolean;
  /** Done by one provider, and again by others at random: by whom first. */
  audited?: Attempt;
  /** What counts at the moment, and since when. */
  accepted?: string;
  acceptedMs?: number;
  cost: bigint;
}

export const RIGHT = 'right';
const COMMON_LIE = 'common lie';

const colludes = ({ role }: SimProvider): boolean => role === 'colluder' || role === 'cautious';

/** Cautious colluders lie when a fellow has the task too and none of them has told the truth. */
function dares({ attempts, answers }: SimTask): boolean {
  const fellows = attempts.filter(({ provider, state }) => state !== 'lost' && colludes(provider));
  const told = answers.some(
    ({ provider, key }) => key === RIGHT && fellows.some((one) => one.provider.id === provider),
  );
  return fellows.length >= 2 && !told;
}

/** What the provider answers: equal texts are equal result hashes. */
export function answerOf(provider: SimProvider, task: SimTask, random: SeededRandomness): string {
  const own = `lie of ${provider.id}`;
  switch (provider.role) {
    case 'honest':
      return RIGHT;
    case 'always':
      return own;
    case 'half':
      return random.chance(0.5) ? own : RIGHT;
    case 'seldom':
      return random.chance(0.1) ? own : RIGHT;
    case 'turncoat':
      return isTrusted(provider.trust) ? own : RIGHT;
    case 'colluder':
      return COMMON_LIE;
    case 'cautious':
      return dares(task) ? COMMON_LIE : RIGHT;
  }
}
