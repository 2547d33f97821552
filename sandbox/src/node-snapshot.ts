/**
 * Whether slots may start from Node's built-in start-up snapshot, which halves what a start costs.
 *
 * V8 keeps one read-only heap per process. isolated-vm makes its isolates from V8's own snapshot, so
 * their references into that heap are right only if Node's snapshot brought the same one. isolated-vm
 * therefore asks for `--no-node-snapshot`. Whether the two heaps are the same can be seen: an isolate's
 * snapshot contains the read-only heap, and with the seeds fixed it is the same byte for byte, or not.
 */
import { execFile } from 'node:child_process';

const TIMEOUT_MS = 15_000;
/** The only randomness that reaches the heap. */
const SEEDS = ['--random-seed=5', '--hash-seed=7'];
const PROGRAM = `
  const addon = { exports: {} };
  process.dlopen(addon, process.argv[1]);
  const bytes = addon.exports.ivm.Isolate.createSnapshot([{ code: '' }]).copy();
  const hash = require('node:crypto').createHash('sha256').update(new Uint8Array(bytes));
  process.stdout.write(bytes.byteLength + ' ' + hash.digest('hex'));`;

/** Size and hash of an isolate's snapshot in a fresh process; `undefined` when that fails. */
function heapHash(node: string, addon: string, flags: readonly string[]) {
  return new Promise<string | undefined>((resolve) => {
    const args = [...flags, ...SEEDS, '--no-warnings', '-e', PROGRAM, addon];
    const options = { env: {}, timeout: TIMEOUT_MS, killSignal: 'SIGKILL' } as const;
    execFile(node, args, options, (error, stdout) => {
      resolve(error === null && /^\d{5,} [0-9a-f]{64}$/.test(stdout) ? stdout : undefined);
    });
  });
}

const asked = new Map<string, Promise<boolean>>();

/** True when it was seen to be safe with this Node and this addon; asked once per process. */
export function canUseNodeSnapshot(node: string, addon: string): Promise<boolean> {
  const key = `${node}\n${addon}`;
  let answer = asked.get(key);
  if (answer === undefined) {
    answer = Promise.all([
      heapHash(node, addon, []),
      heapHash(node, addon, ['--no-node-snapshot']),
    ]).then(([withIt, without]) => withIt !== undefined && withIt === without);
    asked.set(key, answer);
  }
  return answer;
}
