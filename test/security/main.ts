/**
 * The corpus by command. `node dist/test/security/main.js [FOLDER] [LETTERS]`, e.g. `… er`, runs it with
 * all layers that there are, prints a line per program on stderr and one JSON document on stdout; exit
 * code 1 when one got out. `… --step permission|unshare|bubblewrap FILES…` runs files at one level.
 */
import { parseArgs } from 'node:util';
import { createSlotPool } from '#sandbox';
import { CORPUS_LETTERS, corpusFolder, corpusPrograms, isHostAlive, runProgram } from './corpus.ts';
import { QUICK_LIMITS, STEPS, runStep } from './steps.ts';

async function runCorpus(given: string | undefined, letters: string): Promise<void> {
  const { folder, reason } = corpusFolder(given);
  if (folder === undefined) {
    process.stdout.write(`${JSON.stringify({ tried: 0, contained: 0, skipped: reason })}\n`);
    process.exitCode = 1;
    return;
  }
  const pool = await createSlotPool({ slots: 2 });
  try {
    const verdicts = [];
    for (const path of corpusPrograms(folder, letters.split(''))) {
      const verdict = await runProgram(pool, path);
      verdicts.push(verdict);
      const { program, contained, exit, peakMemoryBytes, wallMs, said } = verdict;
      const figures = `${Math.round(peakMemoryBytes / 2 ** 20)} MiB, ${wallMs} ms`;
      const short = said.slice(0, 70).replaceAll('\n', ' ');
      process.stderr.write(
        `${contained ? 'ok  ' : 'OUT '} ${program} ${exit}, ${figures}: ${short}\n`,
      );
    }
    const escaped = verdicts.filter(({ contained }) => !contained).map(({ program }) => program);
    const hostAlive = await isHostAlive(pool);
    const peakMemoryBytes = Math.max(...verdicts.map((verdict) => verdict.peakMemoryBytes));
    const contained = verdicts.length - escaped.length;
    const { isolation } = pool;
    const summary = {
      tried: verdicts.length,
      contained,
      escaped,
      hostAlive,
      peakMemoryBytes,
      isolation,
    };
    process.stdout.write(`${JSON.stringify(summary)}\n`);
    process.exitCode = escaped.length === 0 && hostAlive && verdicts.length > 0 ? 0 : 1;
  } finally {
    pool.close();
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { step: { type: 'string' } },
});
const step = STEPS.find((name) => name === values.step);
if (step === undefined) {
  const [given, letters = CORPUS_LETTERS.join('')] = positionals;
  await runCorpus(given, letters);
} else {
  const result = await runStep(step, positionals, QUICK_LIMITS);
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
