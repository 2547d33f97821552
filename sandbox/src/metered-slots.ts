/**
 * Slots for metered jobs: the same layers as any slot, another program inside. It needs no addon and
 * no isolate; it needs the engine of libs/vm and what that imports. Started when such a job comes,
 * because keeping one warm would cost memory that most providers never use.
 */
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, extname, join, relative } from 'node:path';
import { utf8 } from '#libs/kernel';
import { DEFAULT_JOB_LIMITS, meteredTermsOf } from '#libs/market';
import { type PreparedJsEngine, prepareJsEngine } from '#libs/vm';
import { wrapCommand } from './launch.ts';
import type { SlotCommand, SlotLayer } from './layers/layer.ts';
import { SlotTask } from './run-task.ts';
import { Slot } from './slot.ts';
import type { SlotIsolation } from './task.ts';

const LIBRARIES = ['kernel', 'crypto', 'merkle', 'vm'];
/** What those import from elsewhere, with what that imports in turn. */
const PACKAGES = [
  ...['@ipld/dag-cbor', 'cborg', 'multiformats', '@noble/curves', '@noble/hashes'],
  ...['@scure/base', 'structured-headers'],
];

/** The folder that holds the package.json by which `#libs/…` is found. */
function projectRoot(from: string): string {
  let folder = from;
  while (!existsSync(join(folder, 'package.json'))) {
    if (dirname(folder) === folder) throw new Error(`no package.json above ${from}`);
    folder = dirname(folder);
  }
  return folder;
}

/** The bare command, the program beside the libraries it imports; layers change it. */
export function meteredCommand(node: string): SlotCommand {
  const extension = extname(import.meta.filename);
  const root = projectRoot(import.meta.dirname);
  const main = join(import.meta.dirname, 'slot', `metered-main${extension}`);
  // dist/sandbox/src → dist; sandbox/src → the root itself.
  const built = join(import.meta.dirname, '../..');
  const folders = [
    ...LIBRARIES.map((name) => join(built, 'libs', name)),
    ...PACKAGES.map((name) => join(root, 'node_modules', name)),
  ];
  return {
    prefix: [],
    node,
    nodeFlags: [
      '--no-warnings',
      `--stack-size=${V8_STACK_KB}`,
      ...(extension === '.ts' ? ['--conditions=source'] : []),
    ],
    script: [main],
    readable: [dirname(main), join(root, 'package.json'), ...folders],
    libraries: [join(root, 'package.json'), ...folders].map((from) => ({
      from: realpathSync(from),
      to: relative(root, from),
    })),
    feeds: [],
  };
}

/**
 * The guest's counted stack (libs/vm) must end before V8's, and V8's before the kernel's: recursion
 * has to end alike on every machine. Four times the counted one is what a frame takes at worst.
 */
const STACK_KB = 64 * 1024;
const V8_STACK_KB = 56 * 1024;
/** The kernel ends what this process no longer can, having died itself. */
const CPU_SECONDS_MORE = 10;

const PROBE_CPU_MS = 10_000;

let prepared: PreparedJsEngine | undefined;

/** The JavaScript engine, rewritten once per process and sent to each slot that needs it. */
export function preparedJsEngine(): PreparedJsEngine {
  const path = createRequire(import.meta.url).resolve('quickjs-wasi/quickjs.wasm');
  prepared ??= prepareJsEngine(readFileSync(path));
  return prepared;
}

/** `(module (memory (export "memory") 1) (func (export "_start")))` */
const NOTHING = Uint8Array.of(
  ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0, 5, 3, 1, 0, 1],
  ...[7, 0x13, 2, 6, ...utf8('memory'), 2, 0, 6, ...utf8('_start'), 0, 0, 10, 4, 1, 2, 0, 0x0b],
);

export interface MeteredSlots {
  /** A slot for work of at most so much CPU time. @throws SANDBOX_START */
  start(cpuMs: number): Promise<Slot>;
}

export function createMeteredSlots(node: string, layers: readonly SlotLayer[]): MeteredSlots {
  const { command, feeds } = wrapCommand(meteredCommand(node), layers);
  const limited = (cpuMs: number) => [
    ...['/bin/sh', '-c', 'ulimit -s "$1" && ulimit -t "$2" && shift 2 && exec "$@"', 'sh'],
    ...[String(STACK_KB), String(Math.ceil(cpuMs / 1000) + CPU_SECONDS_MORE)],
    ...command,
  ];
  return { start: (cpuMs) => Slot.start({ command: limited(cpuMs), feeds }, layers) };
}

/**
 * Why metered jobs cannot run here; undefined when one just did, behind every layer that holds for
 * other slots. `isolation` is what was found for those.
 */
export async function meteredProblem(
  slots: MeteredSlots,
  layers: readonly SlotLayer[],
  isolation: Promise<SlotIsolation>,
): Promise<string | undefined> {
  let slot: Slot | undefined;
  try {
    slot = await slots.start(PROBE_CPU_MS);
    const { pid } = slot;
    const inside = await slot.probe();
    const { layers: reports, attempts } = await isolation;
    const held = new Set(reports.flatMap(({ name, holds }) => (holds ? [name] : [])));
    for (const layer of layers.filter(({ name }) => held.has(name))) {
      // What is tried below Node was tried by the probe program, behind the same layers.
      const { holds, evidence } = await layer.verify(pid, { ...inside, attempts });
      if (!holds) return `${layer.name} does not hold: ${evidence}`;
    }
    const limits = DEFAULT_JOB_LIMITS;
    const terms = meteredTermsOf({ kind: 'wasm', limits }, 'probe');
    const task = { code: NOTHING, inputs: {}, params: '{}', limits };
    const metered = { kind: 'wasm', terms } as const;
    const { exit, error } = await new SlotTask(slot, { ...task, metered }, {}).run();
    return exit === 'ok' ? undefined : `a job that does nothing ended as ${exit}: ${error ?? ''}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    slot?.kill();
  }
}
