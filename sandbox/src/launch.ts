/** Finds what a slot needs and turns the layers into the command that starts it. */
import { existsSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, extname, join } from 'node:path';
import { sandboxError } from './errors.ts';
import type { SlotCommand, SlotLayer } from './layers/layer.ts';

/** The isolated-vm build for this Node, architecture and C library. */
export function findAddon(): string {
  const require = createRequire(import.meta.url);
  const folder = dirname(require.resolve('isolated-vm'));
  const abi = process.versions.modules;
  const prebuilds = join(folder, 'prebuilds', `${process.platform}-${process.arch}`);
  const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  const libc = report.header?.glibcVersionRuntime === undefined ? 'musl' : 'glibc';
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

/** The nearest package.json above the slot's script: Node reads it to learn that `.js` is ESM. */
function packageFile(from: string): string | undefined {
  for (let folder = from; dirname(folder) !== folder; folder = dirname(folder)) {
    const path = join(folder, 'package.json');
    if (existsSync(path)) return path;
  }
  return undefined;
}

/** The bare command; layers change it. */
export function slotCommand(node: string, spareMemoryMb: number): SlotCommand {
  const addon = findAddon();
  // The same extension as this module: sources in tests, compiled files in production.
  const main = join(import.meta.dirname, 'slot', `slot-main${extname(import.meta.filename)}`);
  const manifest = packageFile(import.meta.dirname);
  return {
    prefix: [],
    node,
    nodeFlags: [
      // isolated-vm requires it; it cannot be set in NODE_OPTIONS.
      '--no-node-snapshot',
      '--no-warnings',
      // Catastrophic backtracking falls back to a linear engine.
      '--enable-experimental-regexp-engine-on-excessive-backtracks',
    ],
    script: [main, addon, String(spareMemoryMb)],
    readable: [dirname(main), addon, ...(manifest === undefined ? [] : [manifest])],
  };
}

export function wrapCommand(command: SlotCommand, layers: readonly SlotLayer[]): string[] {
  let wrapped = command;
  for (const layer of layers) wrapped = layer.wrap?.(wrapped) ?? wrapped;
  return [...wrapped.prefix, wrapped.node, ...wrapped.nodeFlags, ...wrapped.script];
}
