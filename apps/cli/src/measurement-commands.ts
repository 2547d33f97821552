/** `seele bench …` and `seele sim …`. */
import type { Command } from 'commander';
import { group, leaf, runs } from './frame/command.ts';

export function addMeasurements(program: Command): void {
  runs(
    leaf(program, 'bench <area>', {
      summary: 'Measure one area',
      examples: ['seele bench merkle', 'seele bench e2e --json'],
    })
      .option('--full', 'also the long part')
      .option('--seed <n>', 'start of every random choice', '1')
      .option('--seeds <n>', 'consensus-fuzz: how many seeds to try')
      .option('--plots <dir>', 'consensus-sim: also write the figures as SVG')
      .option('--attacks <dir>', 'sandbox: folder of hostile programs to run, a verdict for each')
      .option('--nodes <n>', 'consensus-cluster: validators, as processes')
      .option('--kill <n>', 'consensus-cluster, e2e: kill so many and measure how they come back'),
    async () => (await import('./commands/bench.ts')).bench,
  );
  const sim = group(program, 'sim', 'Simulations that replay by their seed');
  runs(
    leaf(sim, 'market', {
      summary: 'Tiers and liars among 1 000 providers, or the whole market under faults',
      examples: ['seele sim market --seeds 1-50', 'seele sim market --seed 17 --json'],
    })
      .option('--seed <n>', 'tiers: consumers A, B and C, tenants, liars, on a virtual clock')
      .option('--seeds <A-B>', 'faults: a range, then broken systems that must be noticed (1-50)')
      .option('--orders <n>', 'orders per seed')
      .option('--no-mutants', 'leave the broken systems out'),
    async () => (await import('./commands/bench.ts')).simMarket,
  );
  runs(
    leaf(sim, 'scheduler', {
      summary: 'How well a placement policy packs a recorded workload',
      examples: [
        'seele sim scheduler --nodes nodes.csv --tasks tasks.csv',
        'seele sim scheduler --nodes nodes.csv --tasks tasks.csv --policy fgd --seeds 42-51 --json',
      ],
    })
      .option('--nodes <file>', 'machines: openb node table; SWF may do without')
      .requiredOption('--tasks <file>', 'tasks: openb task table, or SWF')
      .option('--policy <name>', 'seele, fgd, best-fit or random (seele)')
      .option('--seed <n>', 'one run')
      .option('--seeds <A-B>', 'one run per seed (42-51)')
      .option('--inflation <x>', 'GPU demand to build, as a multiple of capacity (1.3)')
      .option('--arrivals <file>', 'exact arrival orders, one line per seed from 42')
      .option('--ranks <file>', 'exact ranks of machines for equal scores, one line per seed'),
    async () => (await import('./commands/sim-scheduler.ts')).simScheduler,
  );
  for (const what of ['eda', 'pbft'] as const)
    runs(
      (what === 'eda' ? consensusOptions : pbftOptions)(
        leaf(sim, what, {
          summary:
            what === 'eda'
              ? 'Consensus: rounds, messages, finality, under faults and liars'
              : 'The baseline, PBFT, on the same links',
          examples: [
            `seele sim ${what} --nodes 10 --failed 0.4`,
            ...(what === 'pbft' ? ['seele sim pbft --nodes 100 --dissemination'] : []),
          ],
        }),
      ),
      async () => (await import('./commands/sim-consensus.ts')).simConsensus(what),
    );
}

/** Read and checked by the simulation itself (`test/simulation/eda/main.ts`). */
function consensusOptions(command: Command): Command {
  return command
    .option('--nodes <n>', 'validators; above 128 positions only')
    .option('--failed <fraction>', 'fraction that is down')
    .option('--byzantine <fraction>', 'fraction that lies')
    .option('--links-lost <fraction>', 'fraction of messages lost')
    .option('--adversary <name>', 'how they lie, or all')
    .option('--mode <mode>', 'committee, or pull as the paper has it')
    .option('--seats <n>', 'expected seats of the committee')
    .option(
      '--sampling-rate <fraction>',
      'pull: fraction asked per round; large: seats a validator',
    )
    .option('--large', 'validators have BLS keys: above 64 ticks are sampled, votes added up')
    .option('--epsilon-us <n>', 'interval of agreement')
    .option('--spread-us <n>', 'spread of first positions')
    .option('--profile <name>', 'classic, seele-40, resilient-45 or crash-only')
    .option('--blocks <n>', 'blocks ordered at once')
    .option('--seed <n>', 'one seed')
    .option('--seeds <A-B>', 'a range of seeds')
    .option('--fuzz', 'random networks, faults and liars, one per seed')
    .option('--mutants', 'with --fuzz: broken rules that must be noticed');
}

function pbftOptions(command: Command): Command {
  return consensusOptions(command)
    .option('--mbit <n>', 'links of so many Mbit/s each way; signatures take time')
    .option('--batch <n>', 'with --mbit: transactions in a block or batch (190)')
    .option(
      '--dissemination',
      'every replica spreads batches, blocks list their names (100 Mbit/s)',
    )
    .option('--every-ms <n>', 'with --dissemination: a batch of every replica so often (800)')
    .option('--seconds <n>', 'with --dissemination: virtual seconds (4)');
}
