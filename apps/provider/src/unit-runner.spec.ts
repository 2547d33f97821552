import { utf8 } from '#libs/kernel';
import { type AgentEvent, DEFAULT_JOB_LIMITS, type Manifest, type StoredUnits } from '#libs/market';
import type { Logger } from '#libs/platform';
import type { BlobStore } from '#libs/storage';
import type { SlotOutcome, SlotPool, SlotSession } from '#sandbox';
import type { JobContent } from './job-content.ts';
import { createUnitRunner } from './unit-runner.ts';

const CID = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy';
const ORDER = 'ab'.repeat(32);
const usage = { cpuMs: 1, wallMs: 1, peakMemoryBytes: 1, inputBytes: 0, outputBytes: 2 };
const fine: SlotOutcome = { exit: 'ok', usage, output: utf8('{}') };

const manifest: Manifest = {
  ...{ version: 1, name: 'many', kind: 'js', code: CID, inputs: [], params: '{}' },
  ...{ limits: DEFAULT_JOB_LIMITS, minIsolation: 'S0', tier: 'A' },
  resources: { cores: 1, memoryBytes: 2 ** 28 },
  array: { tasks: 3, replicas: 1 },
};
const units: StoredUnits = {
  ...{ lease: 'cd'.repeat(32), order: ORDER, chain: 'ef'.repeat(32), fence: 1, manifest: CID },
  ...{ units: [{ from: 0, count: 3 }], unitPrice: 1n, completeByUs: 1, reports: [] },
} as unknown as StoredUnits;

/** Processes whose end is told by a script: what each gives for task `index`, the nth to run in it. */
function poolOf(script: (index: number, nth: number) => SlotOutcome) {
  const opened: (string | undefined)[] = [];
  const open: SlotPool['open'] = (_metered, order) => {
    opened.push(order);
    let ran = 0;
    const session: SlotSession = {
      isOpen: true,
      cpuMs: 0,
      get isFresh() {
        return ran === 0;
      },
      run: ({ task }) => {
        const outcome = script(task?.index ?? 0, ran++);
        if (outcome.exit !== 'ok') Object.defineProperty(session, 'isOpen', { value: false });
        return Promise.resolve(outcome);
      },
      close: () => {},
      park: () => {},
    };
    return Promise.resolve(session);
  };
  return { opened, pool: { open } };
}

function results(pool: Pick<SlotPool, 'open'>) {
  const content: JobContent = {
    fetchManifest: () => Promise.resolve(manifest),
    fetchCode: () => Promise.resolve(utf8('code')),
    checkFits: () => {},
    upload: () => Promise.resolve(CID),
  };
  return new Promise<readonly string[]>((resolve, reject) => {
    const emit = (event: AgentEvent) => {
      if (event.kind === 'unitsReported') resolve(event.report.results.map(({ exit }) => exit));
      if (event.kind === 'failed') reject(new Error(event.reason));
    };
    const logger = { warn: () => {} } as unknown as Logger;
    const blobs = {} as BlobStore;
    createUnitRunner({ pool, blobs, content, logger, emit, isNoop: false }).run(units);
  });
}

describe('a batch of units', () => {
  it('believes a limit of a unit only from a process of its own', async () => {
    // The second task finds no memory where another one ran before.
    const { opened, pool } = poolOf((index, nth) =>
      index === 1 && nth > 0 ? { exit: 'memory-limit', usage } : fine,
    );
    expect(await results(pool)).toEqual(['ok', 'ok', 'ok']);
    expect(opened).toEqual([ORDER, undefined]);
  });

  it('reports the limit when it comes again there', async () => {
    const { opened, pool } = poolOf((index) =>
      index === 1 ? { exit: 'wall-limit', usage } : fine,
    );
    expect(await results(pool)).toEqual(['ok', 'wall-limit', 'ok']);
    expect(opened).toEqual([ORDER, undefined, ORDER]);
  });

  it('tries a crash of a process of its own once more', async () => {
    const { opened, pool } = poolOf((index) => (index === 0 ? { exit: 'crash', usage } : fine));
    expect(await results(pool)).toEqual(['crash', 'ok', 'ok']);
    expect(opened).toEqual([ORDER, ORDER, ORDER]);
  });
});
