/**
 * Says how strong the sandbox really is here: tries inside a slot what must fail, looks at it from
 * outside, and derives the level from what held. Nothing is claimed because it was intended.
 */
import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { release, type as systemName } from 'node:os';
import type { SlotLayer, SlotProbe } from './layers/layer.ts';
import { processFacts } from './process-facts.ts';
import { SlotTask } from './run-task.ts';
import type { Slot } from './slot.ts';
import type { LayerReport, SlotIsolation, Verdict } from './task.ts';
import { DEFAULT_JOB_LIMITS, type IsolationLevel } from '#libs/market';

/** What each level needs, weakest first; a level holds when it and all below it hold. */
const NEEDS: readonly (readonly [IsolationLevel, readonly string[]])[] = [
  ['S1', ['process', 'watchdog', 'permission', 'prlimit']],
  ['S2', ['no-new-privileges', 'namespaces']],
  ['S3', ['seccomp', 'cgroup']],
  ['S4', ['virtual-machine']],
];
const NO_VIRTUAL_MACHINE: LayerReport = {
  name: 'virtual-machine',
  holds: false,
  evidence: 'this version has no layer for a virtual machine or gVisor',
};
const PROBE_MEMORY_BYTES = 64 * 2 ** 20;
/** What a task may reach above its limit before it is dead. */
const OVERSHOOT_BYTES = 150 * 2 ** 20;
const BOMB =
  'export default () => { const kept = []; for (;;) kept.push(new Uint8Array(4 << 20).fill(1)); }';

export interface InspectOptions {
  /** A slot that has seen no task; its probe goes through Node's permission model. */
  readonly slot: Slot;
  /** Starts the program that tries from below the permission model. */
  readonly startProbe: () => Promise<Slot>;
  readonly layers: readonly SlotLayer[];
  /** Layers this machine does not have. */
  readonly missing: readonly LayerReport[];
  /** Files whose content decides what a slot does. */
  readonly files: readonly string[];
}

/** Runs out of its memory limit on purpose. Uses the slot up. */
async function overAllocate(slot: Slot): Promise<Verdict> {
  const limits = { ...DEFAULT_JOB_LIMITS, memoryBytes: PROBE_MEMORY_BYTES, wallMs: 10_000 };
  const task = { code: new TextEncoder().encode(BOMB), inputs: {}, params: '{}', limits };
  const { exit, usage } = await new SlotTask(slot, task, {}).run();
  const over = usage.peakMemoryBytes - PROBE_MEMORY_BYTES;
  return {
    attempt: 'over-allocate',
    refused: exit !== 'ok' && over <= OVERSHOOT_BYTES,
    seen: `${exit} at ${Math.round(usage.peakMemoryBytes / 2 ** 20)} MiB of ${PROBE_MEMORY_BYTES / 2 ** 20}`,
  };
}

async function attemptsBelow(startProbe: () => Promise<Slot>): Promise<readonly Verdict[]> {
  const slot = await startProbe();
  try {
    return (await slot.probe()).attempts;
  } finally {
    slot.kill();
  }
}

async function verified(layer: SlotLayer, pid: number, probe: SlotProbe): Promise<LayerReport> {
  try {
    return { name: layer.name, ...(await layer.verify(pid, probe)) };
  } catch (error) {
    return { name: layer.name, holds: false, evidence: String(error) };
  }
}

/** Level and lowest failing layer from the reports. */
export function levelOf(layers: readonly LayerReport[]): {
  readonly level: IsolationLevel;
  readonly failing?: LayerReport;
} {
  let level: IsolationLevel = 'S0';
  for (const [reached, names] of NEEDS) {
    for (const name of names) {
      const report = layers.find((layer) => layer.name === name);
      if (report?.holds !== true)
        return { level, failing: report ?? { name, holds: false, evidence: 'not in use here' } };
    }
    level = reached;
  }
  return { level };
}

/** Probes; the given slot is used up by it. */
export async function inspectIsolation(options: InspectOptions): Promise<SlotIsolation> {
  const { slot, layers, missing } = options;
  try {
    const below = await attemptsBelow(options.startProbe);
    const probe: SlotProbe = { ...(await slot.probe()), attempts: below };
    const found = await Promise.all(layers.map((layer) => verified(layer, slot.pid, probe)));
    const facts = processFacts(slot.pid);
    const bomb = await overAllocate(slot);
    const reports: LayerReport[] = [
      {
        name: 'process',
        holds: slot.pid !== process.pid && probe.environment.length === 0,
        evidence: `own process, ${probe.environment.length} environment variables`,
      },
      {
        name: 'watchdog',
        holds: facts !== undefined && facts.residentBytes > 0 && bomb.refused,
        evidence: `figures of the slot ${facts === undefined ? 'cannot' : 'can'} be read from outside; a memory bomb ended as ${bomb.seen}`,
      },
      ...found,
      ...missing,
      NO_VIRTUAL_MACHINE,
    ];
    const holds = (name: string) => reports.some((report) => report.name === name && report.holds);
    return {
      ...levelOf(reports),
      flags: probe.hasWebAssembly ? [] : ['J'],
      networkClosed: holds('namespaces') || holds('network-namespace'),
      layers: reports,
      attempts: [...below, bomb],
      kernel: `${systemName()} ${release()}`,
      ...{ node: probe.node, v8: probe.v8 },
      codeHash: hashOfFiles(options.files),
    };
  } finally {
    slot.kill();
  }
}

/** Of files that were read: Node itself is 100 MB, and the probe comes back every hour. */
const hashes = new Map<string, string>();
/** Read piece by piece into one buffer: fresh memory for the whole of Node costs more than its hash. */
const PIECE_BYTES = 2 ** 18;

function hashOfFiles(files: readonly string[]): string {
  const state = files.map((file) => {
    const { ino, size, mtimeNs } = statSync(file, { bigint: true });
    return `${file} ${ino} ${size} ${mtimeNs}`;
  });
  const known = hashes.get(state.join());
  if (known !== undefined) return known;
  const hash = createHash('sha256');
  const piece = Buffer.allocUnsafe(PIECE_BYTES);
  for (const file of files) {
    const opened = openSync(file, 'r');
    try {
      for (let length; (length = readSync(opened, piece)) > 0;)
        hash.update(piece.subarray(0, length));
    } finally {
      closeSync(opened);
    }
  }
  const found = hash.digest('hex');
  // One set of files is in use at a time; another one takes its place.
  hashes.clear();
  hashes.set(state.join(), found);
  return found;
}
