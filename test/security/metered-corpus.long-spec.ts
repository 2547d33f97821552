/**
 * Hostile programs of every letter as verifiable jobs: contained, and the same twice. All of them:
 * `SEELE_CORPUS=all npm test -- metered-corpus`.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { utf8 } from '#libs/kernel';
import { DEFAULT_JOB_LIMITS, type JobLimits, meteredTermsOf } from '#libs/market';
import { type SlotPool, createSlotPool } from '#sandbox';
import { corpusFolder } from './corpus.ts';

/** One or two of each kind. */
const SOME = /^(e03|r01|r1[03]|c05|p0[14]|g0[13]|g1[02]|n0[13])/;
/** Ends that follow from the program, its inputs and its terms; a clock or a kill is not one. */
const REPEATABLE = [
  'ok',
  'guest-error',
  'fuel-limit',
  'host-call-limit',
  'output-limit',
  'log-limit',
];

const limits: JobLimits = { ...DEFAULT_JOB_LIMITS, memoryBytes: 200 * 2 ** 20, hostCalls: 20_000 };
const terms = meteredTermsOf(
  { kind: 'verifiable', limits, metering: { fuel: 2_000_000_000n } },
  'corpus',
);

/** The programs expect a frozen `host` and a completion value; jobs have neither. */
const asJob = (source: string): string => `export default async ({ output, log, progress }) => {
  const host = {
    log: (text) => log(text),
    read: (name) => { progress(0, name); return null; },
    write: (bytes) => output.write(bytes),
    later: (text) => Promise.resolve(text),
    fail: () => progress(Number.NaN, ''),
  };
  Object.defineProperty(globalThis, 'host', { value: Object.freeze(host) });
  const verdict = await (0, eval)(${JSON.stringify(source)});
  if (typeof verdict === 'string') log(verdict);
  return verdict;
};`;

const { folder, reason } = corpusFolder();
const wanted = process.env['SEELE_CORPUS'] === 'all' ? /./ : SOME;
const programs =
  folder === undefined
    ? []
    : readdirSync(folder).filter((name) => name.endsWith('.js') && wanted.test(name));

async function run(pool: SlotPool, path: string) {
  const lines: string[] = [];
  const task = { code: utf8(asJob(readFileSync(path, 'utf8'))), inputs: {}, params: '{}', limits };
  const { exit, metered, usage } = await pool.run(
    { ...task, metered: { kind: 'verifiable', terms } },
    { onLog: ({ text }) => lines.push(text) },
  );
  expect(usage.peakMemoryBytes).toBeLessThan(limits.memoryBytes + 150 * 2 ** 20);
  return { exit, metered, lines };
}

describe('hostile programs as verifiable jobs', () => {
  if (folder === undefined) {
    it.skip(`skipped: ${reason}`, () => {});
    return;
  }

  let pool: SlotPool;
  beforeAll(async () => {
    pool = await createSlotPool({ slots: 2, spares: 0 });
  });
  afterAll(() => pool.close());

  it('are there', () => expect(programs.length).toBeGreaterThan(7));

  it.each(programs)('%s is contained and ends the same twice', async (program) => {
    const path = join(folder, program);
    const [one, two] = await Promise.all([run(pool, path), run(pool, path)]);
    expect(REPEATABLE).toContain(one.exit);
    expect(one.lines.filter((line) => line.startsWith('PWNED'))).toEqual([]);
    expect(one.metered).toBeDefined();
    expect(two).toEqual(one);
  });
});
