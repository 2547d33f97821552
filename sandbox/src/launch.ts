/** Finds what a slot needs and turns the layers into the command that starts it. */
import { existsSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { sandboxError } from './errors.ts';
import type { SlotCommand, SlotLayer } from './layers/layer.ts';
import { type SlotProgram, slotProgram } from './slot-files.ts';
import type { Bytes } from '#libs/kernel';

let knownLibc: 'glibc' | 'musl' | undefined;

/** The C library that this process runs on; asked once, because the report takes tens of milliseconds. */
function libcOfProcess(): 'glibc' | 'musl' {
  if (knownLibc !== undefined) return knownLibc;
  const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  knownLibc = report.header?.glibcVersionRuntime === undefined ? 'musl' : 'glibc';
  return knownLibc;
}

/** The isolated-vm build for this Node, architecture and C library. */
export function findAddon(): string {
  const require = createRequire(import.meta.url);
  const folder = dirname(require.resolve('isolated-vm'));
  const abi = process.versions.modules;
  const prebuilds = join(folder, 'prebuilds', `${process.platform}-${process.arch}`);
  const libc = libcOfProcess();
  const candidates = [
    join(prebuilds, `isolated-vm.abi${abi}.${libc}.node`),
    join(prebuilds, `isolated-vm.abi${abi}.node`),
    join(folder, 'out', 'isolated_vm.node'),
  ];
  const found = candidates.find((path) => existsSync(path));
  if (found === undefined)
    throw sandboxError(
      'SANDBOX_UNSUPPORTED',
      `isolated-vm has no build for ${process.platform}-${process.arch}, ${libc}, ABI ${abi}`,
    );
  return realpathSync(found);
}

/** The bare command; layers change it. @throws SANDBOX_UNSUPPORTED, SANDBOX_START */
export function slotCommand(
  node: string,
  spareMemoryMb: number,
  extra: {
    readonly program?: SlotProgram;
    readonly jitless?: boolean;
    /** Seen to be safe here (./node-snapshot.ts). */
    readonly nodeSnapshot?: boolean;
  } = {},
): SlotCommand {
  const addon = findAddon();
  const program = slotProgram(extra.program ?? 'slot-main');
  return {
    prefix: [],
    node,
    nodeFlags: [
      // It cannot be set in NODE_OPTIONS.
      ...(extra.nodeSnapshot === true ? [] : ['--no-node-snapshot']),
      '--no-warnings',
      // A slot has a core and a half: more helpers would only cost each start.
      '--v8-pool-size=1',
      // Catastrophic backtracking falls back to a linear engine.
      '--enable-experimental-regexp-engine-on-excessive-backtracks',
      ...(extra.jitless === true ? ['--jitless'] : []),
    ],
    script: [program, addon, String(spareMemoryMb)],
    readable: [dirname(program), addon],
    feeds: [],
  };
}

/** What to spawn, and what to write to descriptors 5, 6, … */
export interface SlotStart {
  readonly command: readonly string[];
  readonly feeds: readonly Bytes[];
}

export function wrapCommand(command: SlotCommand, layers: readonly SlotLayer[]): SlotStart {
  let wrapped = command;
  for (const layer of layers) wrapped = layer.wrap?.(wrapped) ?? wrapped;
  const { prefix, node, nodeFlags, script, feeds } = wrapped;
  return { command: [...prefix, node, ...nodeFlags, ...script], feeds };
}
