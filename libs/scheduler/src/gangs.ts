/** Tasks that run together or not at all. */
import { bind, type Cluster, release } from './cluster.ts';
import type { Choice, Policy } from './policy.ts';
import type { TaskShape } from './shape.ts';

/** One member's place. */
export interface GangPlace extends Choice {
  readonly shape: TaskShape;
}

/**
 * Binds every member, in the order given by size so that the large ones find room, or nothing: on the
 * first refusal all that was taken is given back. Places come in the order of `shapes`.
 */
export function placeGang(
  cluster: Cluster,
  policy: Policy,
  shapes: readonly TaskShape[],
): GangPlace[] | undefined {
  const size = (shape: TaskShape) => shape.gpuCount * shape.gpuMilli;
  const order = shapes
    .map((_, i) => i)
    .toSorted(
      (a, b) =>
        size(shapes[b]!) - size(shapes[a]!) || shapes[b]!.cpuMilli - shapes[a]!.cpuMilli || a - b,
    );
  const places: (GangPlace | undefined)[] = shapes.map(() => undefined);
  for (const i of order) {
    const shape = shapes[i]!;
    const choice = policy.choose(shape);
    if (!choice) {
      for (const place of places) if (place) releaseGang(cluster, policy, [place]);
      return undefined;
    }
    bind(cluster, choice.node, choice.gpuMask, shape);
    policy.changed?.(choice.node);
    places[i] = { ...choice, shape };
  }
  return places.filter((place) => place !== undefined);
}

/** Gives back what a gang holds. */
export function releaseGang(cluster: Cluster, policy: Policy, places: readonly GangPlace[]): void {
  for (const { node, gpuMask, shape } of places) {
    release(cluster, node, gpuMask, shape);
    policy.changed?.(node);
  }
}
