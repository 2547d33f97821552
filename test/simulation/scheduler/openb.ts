/** Reads the openb tables (Alibaba GPU cluster trace 2023) and the files of exact orders that go with them. */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import {
  ANY_MODEL,
  type Cluster,
  createShapeTable,
  type KindSource,
  modelBits,
  type NodeSpec,
  schedulerError,
  type TaskShape,
} from '#libs/scheduler';

const MAX_ROWS = 1_000_000;

/** The text of a file, unpacked when its name ends in .gz. @throws SeeleError SCHEDULER_TRACE_INVALID */
export function readTrace(path: string): string {
  try {
    const bytes = readFileSync(path);
    return (path.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw schedulerError('SCHEDULER_TRACE_INVALID', `${path}: ${reason}`);
  }
}

const linesOf = (text: string): string[] => {
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '');
  if (lines.length > MAX_ROWS)
    throw schedulerError('SCHEDULER_TRACE_INVALID', `more than ${MAX_ROWS} lines`);
  return lines;
};

/** A table's rows as objects by column name. */
function rowsOf(text: string, columns: readonly string[], what: string): Map<string, string>[] {
  const [header = '', ...lines] = linesOf(text);
  const names = header.split(',').map((name) => name.trim());
  const missing = columns.filter((name) => !names.includes(name));
  if (missing.length > 0)
    throw schedulerError('SCHEDULER_TRACE_INVALID', `${what} lack the columns ${missing.join()}`);
  if (lines.length === 0) throw schedulerError('SCHEDULER_TRACE_INVALID', `${what} are empty`);
  return lines.map((line) => {
    const cells = line.split(',');
    return new Map(names.map((name, i) => [name, (cells[i] ?? '').trim()]));
  });
}

function whole(row: Map<string, string>, name: string, line: number): number {
  const text = row.get(name) ?? '';
  // The published tables write some amounts as 1000.0.
  if (!/^\d{1,10}(\.0+)?$/.test(text))
    throw schedulerError('SCHEDULER_TRACE_INVALID', `line ${line + 2}: ${name} is "${text}"`);
  return Number(text);
}

/** Machines of an openb node table, in file order. */
export function parseNodes(text: string): NodeSpec[] {
  return rowsOf(text, ['sn', 'cpu_milli', 'memory_mib', 'gpu'], 'the nodes').map((row, i) => ({
    name: row.get('sn') ?? '',
    cpuMilli: whole(row, 'cpu_milli', i),
    memoryMib: whole(row, 'memory_mib', i),
    gpuCount: whole(row, 'gpu', i),
    model: row.get('model') ?? '',
  }));
}

/** One row of a task table. */
export interface TraceTask extends KindSource {
  readonly shape: TaskShape;
}

/** Tasks of an openb task table, in file order; their shapes fit the models of `cluster`. */
export function parseTasks(text: string, cluster: Cluster): TraceTask[] {
  const table = createShapeTable();
  const columns = ['cpu_milli', 'memory_mib', 'num_gpu', 'gpu_milli'];
  return rowsOf(text, columns, 'the tasks').map((row, i) => {
    const modelText = row.get('gpu_spec') ?? '';
    const gpuCount = whole(row, 'num_gpu', i);
    const shape = table.intern({
      cpuMilli: whole(row, 'cpu_milli', i),
      memoryMib: whole(row, 'memory_mib', i),
      gpuCount,
      gpuMilli: gpuCount === 0 ? 0 : whole(row, 'gpu_milli', i),
      modelBits: modelText === '' ? ANY_MODEL : modelBits(cluster, modelText.split('|')),
    });
    const { cpuMilli, gpuMilli, modelBits: bits } = shape;
    return { shape, cpuMilli, gpuCount, gpuMilli, modelBits: bits, modelText };
  });
}

/** Lines of whole numbers below `limit`: arrival orders or ranks, one line per seed. */
export function parseNumberLines(text: string, limit: number, what: string): Int32Array[] {
  return linesOf(text).map((line) =>
    Int32Array.from(line.trim().split(/\s+/), (word) => {
      const number = Number(word);
      if (!Number.isInteger(number) || number < 0 || number >= limit)
        throw schedulerError('SCHEDULER_TRACE_INVALID', `${what} hold "${word}", below ${limit}`);
      return number;
    }),
  );
}
