/**
 * `mkdir -p`. Not Node's own recursive mode: where the kernel says "no such entry" for a name that
 * cannot exist (below /proc, say), that one tries for ever.
 */
import { mkdirSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** Creates a directory and what is missing above it; an existing one keeps its mode. */
export function makeDirectory(path: string, mode: number): void {
  const missing: string[] = [];
  for (let at = resolve(path); !isDirectory(at); at = dirname(at)) missing.unshift(at);
  for (const directory of missing) {
    try {
      mkdirSync(directory, { mode });
    } catch (error) {
      // Another process may have made it meanwhile; anything else is the caller's to report.
      if (!isDirectory(directory)) throw error;
    }
  }
}
