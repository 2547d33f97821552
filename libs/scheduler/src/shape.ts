/**
 * What a task asks of a machine. Tasks of one shape are interchangeable for placement, and real
 * workloads have few shapes (151 in the 8152 tasks of openb), so everything computed is kept by shape.
 */
import { GPU_MILLI, GPUS_PER_NODE } from './cluster.ts';
import { schedulerError } from './errors.ts';

/** Any model will do. */
export const ANY_MODEL = 0x7fffffff;

export interface TaskShape {
  /** Dense number given by a `ShapeTable`. */
  readonly id: number;
  readonly cpuMilli: number;
  readonly memoryMib: number;
  readonly gpuCount: number;
  /** Thousandths asked of each of `gpuCount` GPUs; 0 without GPUs. */
  readonly gpuMilli: number;
  /** Bits of the node models that will do (`modelBits`), or `ANY_MODEL`. */
  readonly modelBits: number;
}

const MAX_AMOUNT = 0x7fffffff;
const isAmount = (value: number, most: number): boolean =>
  Number.isInteger(value) && value >= 0 && value <= most;

/** @throws SeeleError SCHEDULER_SHAPE_INVALID for negative, fractional, huge or NaN amounts */
export function checkShape(shape: Omit<TaskShape, 'id'>): void {
  const { cpuMilli, memoryMib, gpuCount, gpuMilli } = shape;
  if (!isAmount(cpuMilli, MAX_AMOUNT) || !isAmount(memoryMib, MAX_AMOUNT))
    throw schedulerError(
      'SCHEDULER_SHAPE_INVALID',
      `${cpuMilli} thousandths of CPU, ${memoryMib} MiB of memory`,
    );
  const isGpuRight =
    gpuCount === 0 ? gpuMilli === 0 : isAmount(gpuMilli, GPU_MILLI) && gpuMilli > 0;
  if (!isAmount(gpuCount, GPUS_PER_NODE) || !isGpuRight)
    throw schedulerError(
      'SCHEDULER_SHAPE_INVALID',
      `${gpuCount} GPUs, ${gpuMilli} thousandths of each`,
    );
  if (!isAmount(shape.modelBits, MAX_AMOUNT))
    throw schedulerError('SCHEDULER_SHAPE_INVALID', `model bits ${shape.modelBits}`);
}

/** Gives equal shapes one object and one number. */
export interface ShapeTable {
  readonly shapes: readonly TaskShape[];
  /** @throws SeeleError SCHEDULER_SHAPE_INVALID */
  intern(shape: Omit<TaskShape, 'id'>): TaskShape;
}

export function createShapeTable(): ShapeTable {
  const byKey = new Map<string, TaskShape>();
  const shapes: TaskShape[] = [];
  return {
    shapes,
    intern({ cpuMilli, memoryMib, gpuCount, gpuMilli, modelBits }) {
      const key = `${cpuMilli},${memoryMib},${gpuCount},${gpuMilli},${modelBits}`;
      const known = byKey.get(key);
      if (known) return known;
      const shape = { id: shapes.length, cpuMilli, memoryMib, gpuCount, gpuMilli, modelBits };
      checkShape(shape);
      byKey.set(key, shape);
      shapes.push(shape);
      return shape;
    },
  };
}
