import { createSlotPool, type SlotPool } from '#sandbox';
import { CORPUS_LIMITS, corpusFolder, corpusPrograms, isHostAlive, runProgram } from './corpus.ts';

/** A few of each kind; `node dist/test/security/main.js` runs them all. */
const CHOSEN = /^(e03|e05|e15|e16|e21|c05|c09|p02|p05|p17|p18|r02|r06|r11|r22|r34)-/;
const LIMITS = { ...CORPUS_LIMITS, cpuMs: 400, wallMs: 20_000, hostCalls: 2_000 };

const { folder, reason } = corpusFolder();
const programs = folder === undefined ? [] : corpusPrograms(folder);
const chosen = programs.filter((path) => CHOSEN.test(path.split('/').at(-1) as string));

describe('hostile programs in the job sandbox', () => {
  if (folder === undefined) {
    it.skip(`skipped: ${reason}`, () => {});
    return;
  }

  let pool: SlotPool;
  beforeAll(async () => {
    pool = await createSlotPool({ slots: 2 });
  });
  afterAll(() => pool.close());

  it('are there', () => expect(chosen).toHaveLength(16));

  it.each(chosen)('%s is contained', async (path) => {
    const verdict = await runProgram(pool, path, LIMITS);
    expect(verdict).toMatchObject({ contained: true });
  });

  it('left the host alive', async () => {
    expect(await isHostAlive(pool)).toBe(true);
  });
});
