/** What may stand in a job file. schemas/job.schema.json is made from here. */
import { z } from 'zod';
import { REPLICAS_MAX, TASKS_MAX } from '#contracts';
import { ISOLATION_LEVELS, JOB_KINDS, MANIFEST_INPUTS_MAX, TIERS } from '#libs/market';
import { DOMAIN_BITS, type DomainName, LEVELS, type Level } from '#libs/scheduler';

/** Jobs of one file. */
export const FILE_JOBS_MAX = 100;
const DAY_SECONDS = 24 * 3600;
const SIZE_MIB_MAX = 2 ** 20;

const jobName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/, 'a name has 1 to 64 letters, digits, _ . -');
const inputName = z.string().min(1).max(100);
const place = z.string().min(1).max(4096);

const source = z
  .union(
    [
      place,
      z.strictObject({ file: place }),
      z.strictObject({ cid: place }),
      z.strictObject({
        uai: place,
        version: z.string().min(1).max(64).optional(),
        path: place.optional(),
        grant: place.optional(),
        disclose: z.literal('provider').optional(),
      }),
      z.strictObject({
        job: jobName,
        task: z
          .int()
          .min(0)
          .max(TASKS_MAX - 1)
          .optional(),
      }),
    ],
    { error: 'write a file, a CID, a UAI, or one of {file: …}, {cid: …}, {uai: …}, {job: …}' },
  )
  .describe(
    'A local file, a CID, a UAI, or the result of another job of this file: {job: name}, of many tasks also {job: name, task: 3}',
  );

const limits = z.strictObject({
  wallSeconds: z.int().min(1).max(DAY_SECONDS).optional().describe('Longest run; preset 60'),
  cpuSeconds: z
    .int()
    .min(1)
    .max(DAY_SECONDS)
    .optional()
    .describe('Most processor time; preset wallSeconds'),
  memoryMiB: z.int().min(8).max(65_536).optional().describe('Most memory; preset 256'),
  outputMiB: z.int().min(1).max(SIZE_MIB_MAX).optional().describe('Largest result; preset 64'),
  logLines: z.int().min(0).max(100_000).optional(),
  hostCalls: z.int().min(1).max(10_000_000).optional(),
});

const weight = z.int().min(0).max(1000);
const [firstDomain, ...otherDomains] = Object.keys(DOMAIN_BITS) as [DomainName, ...DomainName[]];
const [firstLevel, ...otherLevels] = Object.keys(LEVELS) as [Level['name'], ...Level['name'][]];
const placement = z.strictObject({
  domains: z
    .array(z.enum([firstDomain, ...otherDomains]))
    .min(1)
    .max(4)
    .optional()
    .describe('Only these domains'),
  levels: z
    .array(z.enum([firstLevel, ...otherLevels]))
    .min(1)
    .max(4)
    .optional()
    .describe('Only these levels'),
  regions: z
    .array(z.string().regex(/^[a-z0-9][a-z0-9-]{0,39}$/, 'lower-case letters, digits and dashes'))
    .min(1)
    .max(16)
    .optional()
    .describe('Only providers that state one of these regions'),
  priority: z.int().min(0).max(9).optional().describe('Among your own waiting orders; preset 5'),
});

const fuel = z
  .union([z.int().min(1), z.string().regex(/^[1-9]\d{0,18}$/)], {
    error: 'write a whole number of at least 1',
  })
  .describe('A whole number; above 2^53 as text');

const instant = z.iso.datetime({ offset: true, error: 'write a time like 2027-01-31T12:00:00Z' });

export const fileJob = z.strictObject({
  name: z.string().min(1).max(200).optional().describe('What the order is called'),
  kind: z.enum(JOB_KINDS).optional().describe('Preset js, or wasm for a WebAssembly module'),
  code: place.describe('The program: a local file, a CID or a UAI'),
  inputs: z
    .record(inputName, source)
    .refine((inputs) => Object.keys(inputs).length <= MANIFEST_INPUTS_MAX, {
      error: `at most ${MANIFEST_INPUTS_MAX} inputs`,
    })
    .optional(),
  params: z.json().optional().describe('Any JSON value; the program sees it as params'),
  limits: limits.optional(),
  resources: z
    .strictObject({
      cores: z.int().min(1).max(1024).optional(),
      diskMiB: z.int().min(1).max(SIZE_MIB_MAX).optional(),
    })
    .optional()
    .describe('What it needs beside the memory of its limits'),
  metering: z
    .strictObject({
      fuel: fuel.optional(),
      checkpointFuel: fuel.optional(),
      clock: instant.optional().describe('What the job’s clock says'),
    })
    .optional()
    .describe('kind wasm or verifiable only'),
  minIsolation: z.enum(ISOLATION_LEVELS).optional(),
  tier: z.enum(TIERS).optional().describe('A cheap, B fast, C safe; preset A'),
  weights: z
    .strictObject({ cost: weight, time: weight, risk: weight })
    .optional()
    .describe('What matters, instead of the tier’s weights'),
  placement: placement.optional(),
  priceCap: z
    .union([z.string().regex(/^(0|[1-9]\d{0,9})(\.\d{1,9})?$/), z.number().positive()], {
      error: 'write an amount above 0 like 0.25, with at most nine decimals',
    })
    .optional()
    .describe('Most to pay for the whole order; preset: what the quote says'),
  completeBy: instant.optional().describe('Done by then, or it costs nothing'),
  withinSeconds: z
    .int()
    .min(1)
    .max(30 * DAY_SECONDS)
    .optional()
    .describe('Instead of completeBy: so long after it was ordered; preset 3600'),
  tasks: z.int().min(1).max(TASKS_MAX).optional().describe('Many tasks of this program'),
  taskInput: z
    .strictObject({
      name: inputName,
      each: z.array(place).min(1).max(TASKS_MAX).optional(),
      job: jobName.optional(),
    })
    .refine(({ each, job }) => (each === undefined) !== (job === undefined), {
      error: 'say either each: [file, …] or job: name',
    })
    .optional()
    .describe('One input per task: files in the order of the tasks, or the outputs of another job'),
  replicas: z.int().min(1).max(REPLICAS_MAX).optional().describe('Times a task is done'),
  webhook: z
    .url({ protocol: /^https?$/, error: 'write an address like https://hooks.example.com/seele' })
    .max(2048)
    .optional()
    .describe('Where the market sends the events of this order, signed'),
  output: z
    .union([place, z.strictObject({ file: place }), z.strictObject({ uai: place })], {
      error: 'write a file or a UAI, or {file: …} or {uai: …}',
    })
    .optional()
    .describe('The file that gets the result, or a UAI below …/data of the own account'),
});
export type FileJobText = z.infer<typeof fileJob>;

/** Several jobs that may use each other's results. */
export const fileOfJobs = z.strictObject({
  name: z.string().min(1).max(200).optional(),
  jobs: z
    .record(jobName, fileJob)
    .refine((jobs) => Object.keys(jobs).length > 0, { error: 'name at least one job' })
    .refine((jobs) => Object.keys(jobs).length <= FILE_JOBS_MAX, {
      error: `at most ${FILE_JOBS_MAX} jobs in one file`,
    }),
});

/** JSON Schema of the file, for editors: schemas/job.schema.json. */
export function jobFileSchema(): object {
  return {
    title: 'A Seele job file: one job, or several that use each other’s results',
    ...z.toJSONSchema(z.union([fileJob, fileOfJobs]), { io: 'input', reused: 'ref' }),
  };
}
