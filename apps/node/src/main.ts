/**
 * Starts the node in a thread with a large stack: user contracts run there, and V8's own limit must
 * never decide what a guest's result is. This thread only passes signals on; when the other ends, so
 * does the process, with its exit code. Why: docs/decisions/0012-a-node-runs-on-a-large-stack.md.
 */
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { Worker } from 'node:worker_threads';

/** Sixteen nested frames with 2 MiB of counted stack each, and four times that as room to spare. */
const STACK_MB = 192;
/**
 * The objects of a block live as long as the block; in V8's default young generation they are copied
 * twice and then fill the old one. Over 20 000 transfers scavenges took 7.8 s with the default and
 * 3.4 s with this (three times 128 MiB: V8 counts both halves and the large objects).
 */
const YOUNG_GENERATION_MB = 384;

/**
 * Compiled once, loaded by every later start: a node that was killed is needed back at once. As
 * trustworthy as the code beside it; where it cannot be written, Node goes without.
 */
const COMPILE_CACHE = '../../../../node_modules/.cache/compiled';
if (extname(import.meta.filename) === '.js')
  process.env['NODE_COMPILE_CACHE'] ??= fileURLToPath(new URL(COMPILE_CACHE, import.meta.url));

/**
 * V8 learns in the first milliseconds, when its young generation is tiny, that what a decoder makes
 * lives long, and from then on makes it in the old one: there transactions that are done with keep all
 * they point to alive. docs/decisions/0026-a-node-makes-nothing-in-the-old-generation.md.
 */
setFlagsFromString('--no-allocation-site-pretenuring');

// The same extension as this file's: the sources run as they are while they are developed.
const program = new URL(`./node-process${extname(import.meta.filename)}`, import.meta.url);
const thread = new Worker(program, {
  resourceLimits: { stackSizeMb: STACK_MB, maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
});
for (const signal of ['SIGTERM', 'SIGINT'] as const)
  process.on(signal, () => thread.postMessage(signal));
thread.once('error', (error) => {
  process.stderr.write(`node: ${String(error)}\n`);
  process.exitCode = 1;
});
thread.once('exit', (code) => process.exit(process.exitCode ?? code));
