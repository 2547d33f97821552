/** Which readers take a version from which height on: rising heights, percentages as they come. */
import { type CodecValue, list, record, uint } from '#libs/kernel';

const ROLLOUT_STEPS_MAX = 32;

const rolloutStep = record({ percent: uint(100), activationHeight: uint() });
export type RolloutStep = CodecValue<typeof rolloutStep>;
export const rolloutSteps = list(rolloutStep, ROLLOUT_STEPS_MAX);

/** True when each step begins above the one before it. */
export function isRollout(steps: readonly RolloutStep[]): boolean {
  return steps.every(
    ({ activationHeight }, index) => activationHeight > (steps[index - 1]?.activationHeight ?? -1),
  );
}

/**
 * Steps that are reached at `height` stay, the others make way for the new ones. What readers were told
 * cannot be told otherwise later.
 *
 * @returns undefined when a new step lies in the past, or there are too many
 */
export function mergeRollout(
  before: readonly RolloutStep[],
  after: readonly RolloutStep[],
  height: number,
): readonly RolloutStep[] | undefined {
  const reached = before.filter(({ activationHeight }) => activationHeight <= height);
  const isReached = ({ percent, activationHeight }: RolloutStep) =>
    reached.some((step) => step.activationHeight === activationHeight && step.percent === percent);
  const added = after.filter((step) => !isReached(step));
  if (added.some(({ activationHeight }) => activationHeight <= height)) return undefined;
  const steps = [...reached, ...added];
  return steps.length <= ROLLOUT_STEPS_MAX ? steps : undefined;
}
