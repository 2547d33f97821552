/**
 * One process per data directory. LMDB lets several processes write in turns, which for a ledger
 * would be two nodes extending one chain; so the owner leaves its pid and start time in a file.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { storeError } from './errors.ts';

const LOCK_FILE = 'owner.lock';

/** Start time of a process in clock ticks since boot, where the kernel tells (Linux). */
function startTimeOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** True when the process that wrote the lock still runs (and is not another one of the same pid). */
function isHeld(content: string): boolean {
  const [pid, startTime] = content.split(' ');
  const owner = Number(pid);
  if (!Number.isSafeInteger(owner) || owner <= 0 || owner === process.pid || !isAlive(owner))
    return false;
  return startTime === '' || startTimeOf(owner) === startTime;
}

/**
 * Makes the directory and takes it for this process; returns the function that gives it back. A lock
 * whose owner was killed is taken over.
 * @throws STORE_IN_USE, STORE_OPEN
 */
export function lockDirectory(path: string): () => void {
  const file = join(path, LOCK_FILE);
  const content = `${process.pid} ${startTimeOf(process.pid)}`;
  try {
    mkdirSync(path, { recursive: true });
  } catch (cause) {
    throw storeError('STORE_OPEN', `cannot make ${path}: ${(cause as Error).message}`, { cause });
  }
  for (let attempt = 0; ; attempt++) {
    try {
      writeFileSync(file, content, { flag: 'wx' });
      return () => rmSync(file, { force: true });
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'EEXIST' || attempt === 3)
        throw storeError('STORE_OPEN', `cannot write in ${path}: ${(cause as Error).message}`, {
          cause,
        });
    }
    const owner = readFileSync(file, 'utf8');
    if (isHeld(owner))
      throw storeError('STORE_IN_USE', `${path} is used by process ${owner.split(' ')[0]}`);
    rmSync(file, { force: true });
  }
}
