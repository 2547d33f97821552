/**
 * The folder a slot can read: its program as one script. Made once per process of the provider, removed
 * at its end; what a killed provider left behind goes at the next start.
 */
import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { joinModules } from './join-modules.ts';

export type SlotProgram = 'slot-main' | 'probe-main';

const PREFIX = 'seele-slot-code-';
let folder: string | undefined;
const written = new Map<SlotProgram, string>();

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/** Only what this user may remove goes. */
function removeLeftovers(): void {
  for (const name of readdirSync(tmpdir())) {
    const owner = new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1];
    if (owner === undefined || isRunning(Number(owner))) continue;
    try {
      rmSync(join(tmpdir(), name), { recursive: true, force: true });
    } catch {
      // Another user's.
    }
  }
}

function makeFolder(): string {
  removeLeftovers();
  // Its name holds our pid, and nobody else can write into it.
  const made = mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-`));
  chmodSync(made, 0o755);
  process.on('exit', () => rmSync(made, { recursive: true, force: true }));
  return made;
}

/** Path of the program as one script. @throws SANDBOX_START, or what the file system throws */
export function slotProgram(name: SlotProgram): string {
  const known = written.get(name);
  if (known !== undefined) return known;
  // The same extension as this module: sources in tests, compiled files in production.
  const source = join(import.meta.dirname, 'slot', `${name}${extname(import.meta.filename)}`);
  folder ??= makeFolder();
  const path = join(folder, `${name}.cjs`);
  writeFileSync(path, joinModules(source), { mode: 0o444 });
  written.set(name, path);
  return path;
}
