/** Machines and tasks of openb's shape for where the trace itself is not at hand. */
import type { SeededRandomness } from '#libs/kernel';
import type { NodeSpec } from '#libs/scheduler';

/** How many machines of each kind: count, CPU thousandths, MiB, GPUs, model. */
const MACHINES: readonly (readonly [number, number, number, number, string])[] = [
  [387, 104_000, 524_288, 2, 'T4'],
  [17, 96_000, 393_216, 4, 'T4'],
  [39, 128_000, 786_432, 8, 'G3'],
  [549, 96_000, 393_216, 8, 'G2'],
  [110, 16_000, 122_880, 2, 'P100'],
  [24, 64_000, 262_144, 2, 'P100'],
  [19, 8000, 32_768, 1, 'V100M16'],
  [38, 32_000, 131_072, 4, 'V100M16'],
  [30, 96_000, 786_432, 8, 'V100M32'],
];

/** Parts in a thousand of the tasks: CPU thousandths, MiB, GPUs, thousandths of each. */
const TASKS: readonly (readonly [number, number, number, number, number])[] = [
  [133, 8000, 30_517, 0, 0],
  [280, 12_000, 46_080, 1, 1000],
  [120, 6000, 24_576, 1, 1000],
  [80, 8000, 32_768, 1, 1000],
  [130, 8000, 30_517, 1, 810],
  [92, 8000, 30_517, 1, 470],
  [40, 6000, 12_288, 1, 320],
  [31, 4000, 15_258, 1, 650],
  [33, 6000, 12_288, 1, 460],
  [50, 3000, 7629, 1, 230],
  [2, 24_000, 98_304, 2, 1000],
  [2, 48_000, 196_608, 4, 1000],
  [7, 90_000, 360_448, 8, 1000],
];
const TASK_COUNT = 8152;

export const generatedNodes = (): NodeSpec[] =>
  MACHINES.flatMap(([count, cpuMilli, memoryMib, gpuCount, model]) =>
    Array.from({ length: count }, (_, i) => ({
      name: `${model}-${cpuMilli}-${i}`,
      cpuMilli,
      memoryMib,
      gpuCount,
      model,
    })),
  );

/** A task table of openb's format. */
export function generatedTasks(draws: SeededRandomness): string {
  const lines = ['name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec'];
  for (let i = 0; i < TASK_COUNT; i++) {
    let draw = draws.below(1000);
    const kind = TASKS.find(([parts]) => (draw -= parts) < 0) ?? TASKS[0]!;
    const [, cpu, memory, gpus, milli] = kind;
    lines.push(`task-${i},${cpu + 100 * draws.below(10)},${memory},${gpus},${milli},`);
  }
  return lines.join('\n');
}
