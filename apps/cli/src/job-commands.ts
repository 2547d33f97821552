/** Declares `seele quote`, `run`, `job …`, `receipt` and `audit …`. */
import type { Command } from 'commander';
import { collect, group, leaf, runs } from './frame/command.ts';

function jobOptions(command: Command): Command {
  return command
    .option('--in <name=file|cid>', 'an input; repeat for more', collect, [])
    .option('--param <key=value>', 'a parameter (JSON or text); repeat for more', collect, [])
    .option('--kind <kind>', 'js, wasm or verifiable (default: js, wasm for a .wasm file)')
    .option('--fuel <n>', 'wasm, verifiable: most fuel (default for verifiable: 100000000000)')
    .option('--checkpoint-fuel <n>', 'verifiable: distance of checkpoints')
    .option('--clock <time>', 'wasm, verifiable: what the job’s clock says (default 1970)')
    .option('--tier <tier>', 'A cheap, B fast, C safe', 'A')
    .option('--tasks <n>', 'run it n times (1 to 10 000); each gets its number as task.index')
    .option('--replicas <n>', 'do each task n times on distinct providers; a majority decides')
    .option('--validator <file|cid>', 'a program that says of each result whether it counts')
    .option('--validator-param <key=value>', 'a parameter of it; repeat for more', collect, [])
    .option('--validator-fuel <n>', 'most fuel of each of its runs (default 20000000000)')
    .option('--name <text>', 'what the job is called')
    .option('--wall <seconds>', 'longest run', '60')
    .option('--memory <MiB>', 'most memory', '256')
    .option('--weights <cost,time,risk>', 'what matters, e.g. 8,1,1 (default: the tier’s)')
    .option('--domain <name>', 'only this domain; repeat for more', collect, [])
    .option('--level <name>', 'only this level; repeat for more', collect, [])
    .option('--region <name>', 'only this region; repeat for more', collect, [])
    .option('--priority <0-9>', 'among your own waiting orders (default 5)')
    .option('--min-isolation <level>', 'S0 to S4 (default: S0 on this machine, S2 on a network)')
    .option('--from <name>', 'account that pays', 'default')
    .option('--market <url>', 'market to use');
}

export function addJobs(program: Command): void {
  runs(
    jobOptions(
      leaf(program, 'quote <code>', {
        summary: 'What a job would cost and when it would be done, without buying it',
        examples: ['seele quote sum.js --in data=data.csv --tier B'],
      }),
    ).option('--save <file>', 'keep the quote for seele run --quote'),
    async () => (await import('./commands/run.ts')).quote,
  );
  runs(
    jobOptions(
      leaf(program, 'run <code|file>', {
        summary: 'Order a job, or the jobs of a job file (.yaml, .json)',
        examples: [
          'seele run sum.js --in data=data.csv --tier A --follow',
          'seele run sum.js --in data=data.csv --validator check.js --validator-param least=10',
          'seele run frame.js --tasks 1000 --follow --out frames',
          'seele run job.yaml --dry-run',
          'seele run job.yaml --follow',
          'seele run job.yaml --resume',
        ],
      }),
    )
      .option('--cap <amount>', 'most to pay, for all tasks together (default: the quote’s)')
      .option('--quote <file>', 'a quote that was saved: its price is the cap')
      .option('--within <seconds>', 'must be done by then, or it costs nothing', '3600')
      .option('--webhook <url>', 'have its events sent there, signed (job file: webhook)')
      .option('--dry-run', 'job file: check, quote and show everything, order nothing')
      .option('--resume', 'job file: go on with the run that was stopped')
      .option('--again', 'job file: order everything anew')
      .option('--files <dir>', 'job file: what it names may lie here (default: its folder)')
      .option('--follow', 'watch it until it ends and print the result')
      .option('--out <file>', 'with --follow, write the result there (with --tasks: a folder)')
      .option('--timeout <seconds>', 'with --follow, stop watching after so long', '600'),
    async () => (await import('./commands/run.ts')).run,
  );
  const job = group(program, 'job', 'Orders and their results');
  const market = (command: Command) =>
    command
      .option('--from <name>', 'account that ordered', 'default')
      .option('--market <url>', 'market to ask');
  runs(
    market(
      leaf(job, 'list', { summary: 'Your orders, newest first', examples: ['seele job list'] }),
    ).option('--limit <n>', 'how many', '20'),
    async () => (await import('./commands/job.ts')).jobList,
  );
  runs(
    market(
      leaf(program, 'why <job>', {
        summary: 'Why an order waits, what would help, and every decision about it',
        examples: ['seele why 3f…', 'seele why 3f… --json'],
      }),
    ),
    async () => (await import('./commands/why.ts')).explainJob,
  );
  runs(
    market(
      leaf(job, 'show <job>', {
        summary: 'Where an order stands',
        examples: ['seele job show 3f…'],
      }),
    ),
    async () => (await import('./commands/job.ts')).jobShow,
  );
  runs(
    market(
      leaf(job, 'follow <job>', {
        summary: 'Watch an order until it ends',
        examples: ['seele job follow 3f…'],
      }),
    ).option('--timeout <seconds>', 'stop watching after so long', '600'),
    async () => (await import('./commands/job.ts')).jobFollow,
  );
  runs(
    market(
      leaf(job, 'cancel <job>', {
        summary: 'Give an order up; what was not spent comes back',
        examples: ['seele job cancel 3f…'],
      }),
    ),
    async () => (await import('./commands/job.ts')).jobCancel,
  );
  runs(
    market(
      leaf(job, 'result <job>', {
        summary: 'The result of a finished order',
        examples: ['seele job result 3f… --out result.json'],
      }),
    ).option('--out <file>', 'write there instead of stdout'),
    async () => (await import('./commands/job.ts')).jobResult,
  );
  runs(
    market(
      leaf(job, 'failures <job>', {
        summary: 'Of an order of many tasks: which failed, why, and their first log lines',
        examples: ['seele job failures 3f…'],
      }),
    ),
    async () => (await import('./commands/job.ts')).jobFailures,
  );
  runs(
    market(
      leaf(job, 'replay [job]', {
        summary: 'Run a wasm or verifiable job again here and compare with its receipt',
        examples: [
          'seele job replay 3f…',
          'seele job replay --receipt job.seele',
          'seele job replay 3f… --against other.seele --images images',
        ],
      }),
    )
      .option('--receipt <file>', 'the receipt in this file instead of an order’s')
      .option('--against <file>', 'another result (receipt or --save): run only where they part')
      .option('--save <file>', 'write the result of the run here, for --against')
      .option('--images <dir>', 'keep images of the run there; with --against start from them')
      .option('--storage <url>', 'storage that holds code and inputs')
      .option('--token <text>', 'its bearer token'),
    async () => (await import('./commands/replay.ts')).jobReplay,
  );
}

export function addProofs(program: Command): void {
  runs(
    leaf(program, 'receipt <job>', {
      summary: 'One file that proves what ran, on what, and who was paid',
      examples: ['seele receipt 3f… > job.seele', 'seele receipt 3f… --out job.seele'],
    })
      .option('--from <name>', 'account that ordered', 'default')
      .option('--market <url>', 'market to ask')
      .option('--task <n>', 'of an order of many tasks: the small receipt of this one')
      .option('--out <file>', 'write there instead of stdout'),
    async () => (await import('./commands/receipt.ts')).receipt,
  );
  const verifying = (command: Command) =>
    command
      .option('--offline', 'use nothing but the file (it never uses more)')
      .option('--trust <genesis-id>', 'the chain you trust (default: the one of this home)');
  runs(
    verifying(
      leaf(program, 'verify <file>', {
        summary: 'Check a receipt, with no network (the same as audit verify)',
        examples: ['seele verify job.seele'],
      }),
    ),
    async () => (await import('./commands/receipt.ts')).auditVerify,
  );
  const audit = group(program, 'audit', 'Check what others claim');
  runs(
    verifying(
      leaf(audit, 'verify <file>', {
        summary: 'Check a receipt, with no network',
        examples: ['seele audit verify job.seele --offline --trust 5d1f…'],
      }),
    ),
    async () => (await import('./commands/receipt.ts')).auditVerify,
  );
  runs(
    leaf(audit, 'reputation [provider]', {
      summary: 'Count what became of providers’ work from the blocks, and compare with the state',
      examples: ['seele audit reputation', 'seele audit reputation seele1… --json'],
    }).option('--node <url>', 'node to ask'),
    async () => (await import('./commands/reputation.ts')).auditReputation,
  );
  runs(
    leaf(audit, 'draws', {
      summary:
        'Draw again, from the blocks, what markets had to have done again, and say what they ordered',
      examples: ['seele audit draws', 'seele audit draws --json'],
    }).option('--node <url>', 'node to ask'),
    async () => (await import('./commands/draws.ts')).auditDraws,
  );
}
