/**
 * What a slot's own root holds: Node, the libraries it is linked with, the slot's code, nothing else.
 * Paths inside say nothing about the machine, except where a library has to be found.
 */
import { openSync, closeSync, readFileSync, readSync, readdirSync, realpathSync } from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import type { SlotCommand } from './layer.ts';

/** A file or folder of the machine and where the slot sees it. */
export interface Bind {
  readonly from: string;
  readonly to: string;
}

export interface SlotRoot {
  readonly binds: readonly Bind[];
  /** The command as it reads inside the root; its prefix is empty. */
  readonly command: SlotCommand;
  /** The program interpreter's path, as written in the executable. */
  readonly loader: string | undefined;
}

const PT_INTERP = 3;

/** Path of the dynamic loader in an ELF64 file; `undefined` when it is linked statically. elf(5). */
export function elfInterpreter(path: string): string | undefined {
  const file = openSync(path, 'r');
  try {
    const part = (at: number, length: number): Buffer => {
      const out = Buffer.alloc(length);
      readSync(file, out, 0, length, at);
      return out;
    };
    const head = part(0, 64);
    if (head.toString('latin1', 0, 4) !== '\x7fELF') return undefined;
    const table = Number(head.readBigUInt64LE(32));
    const [size, count] = [head.readUInt16LE(54), head.readUInt16LE(56)];
    for (let i = 0; i < count; i++) {
      const entry = part(table + i * size, size);
      if (entry.readUInt32LE(0) !== PT_INTERP) continue;
      const length = Number(entry.readBigUInt64LE(32));
      return part(Number(entry.readBigUInt64LE(8)), length)
        .toString('latin1')
        .replace(/\0.*$/s, '');
    }
    return undefined;
  } finally {
    closeSync(file);
  }
}

/** Shared libraries this process has mapped, each under every name its folder knows it by. */
function mappedLibraries(): string[] {
  const maps = readFileSync('/proc/self/maps', 'utf8');
  const files = new Set(maps.match(/\/[^\n]*\.so[.\d]*$/gm) ?? []);
  const names = new Set<string>();
  // Most are in one folder, and that has thousands of entries.
  const listed = new Map<string, readonly string[]>();
  for (const file of files) {
    if (file.includes('/node_modules/')) continue;
    const stem = basename(file)
      .replace(/\.so.*$/, '')
      .replace(/-\d+\.\d+$/, '');
    const folder = dirname(file);
    try {
      const real = realpathSync(file);
      names.add(file);
      const entries = listed.get(folder) ?? readdirSync(folder);
      listed.set(folder, entries);
      for (const name of entries)
        if (
          name.startsWith(stem) &&
          name.includes('.so') &&
          realpathSync(join(folder, name)) === real
        )
          names.add(join(folder, name));
    } catch {
      // Replaced on disk while we run (an upgrade): the slot will say what it misses.
    }
  }
  return [...names];
}

/** Moves a command into an own root. `script` is the slot's main file, the addon, and plain words. */
export function slotRoot(command: SlotCommand): SlotRoot {
  const [main = '', addon, ...words] = command.script;
  const folder = dirname(main);
  const loader = elfInterpreter(command.node);
  const binds = [
    { from: command.node, to: '/node' },
    ...mappedLibraries().map((path) => ({ from: path, to: path })),
    ...(loader === undefined ? [] : [{ from: realpathSync(loader), to: loader }]),
    { from: folder, to: '/slot/code' },
    ...(addon === undefined ? [] : [{ from: addon, to: `/slot/addon${extname(addon)}` }]),
    ...(command.libraries ?? []).map(({ from, to }) => ({ from, to: `/slot/${to}` })),
  ];
  const inside: SlotCommand = {
    ...command,
    prefix: [],
    node: '/node',
    script: [
      `/slot/code/${basename(main)}`,
      ...(addon === undefined ? [] : [`/slot/addon${extname(addon)}`]),
      ...words,
    ],
    readable: ['/slot/'],
  };
  return { binds, command: inside, loader };
}
