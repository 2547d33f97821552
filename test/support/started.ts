/**
 * What this process started and must not leave behind. A bench that is told to stop in its middle ends it
 * all the same.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const started = new Set<() => Promise<void>>();
const folders = new Set<string>();

/**
 * A new folder of this process. A signal removes it last of all: whoever was about to write into it when its
 * owner removed it has made it again.
 */
export function temporaryFolder(prefix: string, parent = tmpdir()): string {
  const folder = mkdtempSync(join(parent, prefix));
  folders.add(folder);
  return folder;
}

/**
 * Notes how something that was started is ended; do this before it starts. The function that is returned
 * ends it, once, however often it is called.
 */
export function mustEnd(end: () => Promise<void> | void): () => Promise<void> {
  let ending: Promise<void> | undefined;
  const once = (): Promise<void> => {
    ending ??= Promise.resolve(end()).finally(() => started.delete(once));
    return ending;
  };
  started.add(once);
  return once;
}

const CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/** Whoever signals a process and its group, as `timeout` and a terminal do, means it once. */
const SAME_SIGNAL_MS = 2_000;

/**
 * From now on a signal ends first what was started, the newest first, and then this process; one that
 * comes later ends it at once.
 */
export function endOnSignals(): void {
  let sinceMs: number | undefined;
  const ended = async (signal: keyof typeof CODES): Promise<void> => {
    if (sinceMs !== undefined) {
      if (performance.now() - sinceMs > SAME_SIGNAL_MS) process.exit(CODES[signal]);
      return;
    }
    sinceMs = performance.now();
    process.stderr.write(`${signal}: ending what was started\n`);
    // What goes on meanwhile may start more.
    while (started.size > 0)
      for (const end of [...started].toReversed())
        await end().catch((error: unknown) => process.stderr.write(`${String(error)}\n`));
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
    process.exit(CODES[signal]);
  };
  for (const signal of Object.keys(CODES) as (keyof typeof CODES)[])
    process.on(signal, () => void ended(signal));
}
