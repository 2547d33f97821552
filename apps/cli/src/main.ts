/** `seele`: the command line. The code of a command is loaded when it is called. */
import { Command } from 'commander';
import { addCatalogueVerbs } from './catalogue-commands.ts';
import { addGrantVerbs, addOwnerVerbs } from './data-commands.ts';
import { group, leaf, runProgram, runs } from './frame/command.ts';
import { addDisputes } from './dispute-commands.ts';
import { addJobs, addProofs } from './job-commands.ts';
import { addStorage } from './storage-commands.ts';
import { addWebhooks } from './webhook-commands.ts';

const program = new Command('seele')
  .description('Buy and sell computing and storage; every step is paid, checked and provable.')
  .addHelpText(
    'after',
    '\nExample:\n  $ seele quickstart\n\nExit codes: 0 done, 1 refused or failed, 2 wrong usage.',
  );

function lifecycle(): void {
  runs(
    leaf(program, 'quickstart', {
      summary: 'See a real job bought, run, paid and proved, in one go',
      examples: ['seele quickstart', 'seele quickstart --keep'],
    })
      .option('--keep', 'leave everything running afterwards')
      .option('--timeout <seconds>', 'give up after so long', '120'),
    async () => (await import('./quickstart/quickstart.ts')).quickstart,
  );
  runs(
    leaf(program, 'up', {
      summary: 'Start a development machine: four validators, storage, market, three providers',
      examples: ['seele up', 'seele up --ports auto --home /tmp/seele'],
    })
      .option('--ports <choice>', 'default or auto (free ones)', 'default')
      .option('--solo', 'a new chain has one sequencer instead of four validators')
      .option('--foreground', 'stay in the foreground; Ctrl-C stops everything')
      .option('--supervise', 'be the supervisor (used by up itself)')
      .option('--owner <pid>', 'stop when that process is gone (used by quickstart)')
      .option('--timeout <seconds>', 'give up waiting after so long', '90'),
    async () => (await import('./commands/up.ts')).up,
  );
  runs(
    leaf(program, 'down', {
      summary: 'Stop what `seele up` started',
      examples: ['seele down'],
    }).option('--timeout <seconds>', 'kill what has not stopped by then', '20'),
    async () => (await import('./commands/down.ts')).down,
  );
  runs(
    leaf(program, 'doctor', {
      summary: 'Check what Seele needs on this machine, with a fix for whatever is missing',
      examples: ['seele doctor', 'seele doctor --json'],
    }),
    async () => (await import('./commands/doctor.ts')).doctor,
  );
}

function accounts(): void {
  const account = group(program, 'account', 'Keys and money');
  runs(
    leaf(account, 'new <name>', {
      summary: 'Make an account: an encrypted key file in the home',
      examples: ['seele account new alice'],
    }),
    async () => (await import('./commands/account.ts')).accountNew,
  );
  runs(
    leaf(account, 'show [name]', {
      summary: 'Show accounts, what they hold and what is prepaid for orders',
      examples: ['seele account show', 'seele account show alice --json'],
    }).option('--node <url>', 'node to ask'),
    async () => (await import('./commands/account.ts')).accountShow,
  );
  runs(
    leaf(account, 'send <to> <amount>', {
      summary: 'Send money to an account (seele1… or a name of this home)',
      examples: ['seele account send seele1… 12.5 --from default'],
    })
      .option('--from <name>', 'account that pays', 'default')
      .option('--memo <text>', 'up to 100 characters that everybody can read')
      .option('--node <url>', 'node to send to'),
    async () => (await import('./commands/account.ts')).accountSend,
  );
  runs(
    leaf(account, 'deposit <amount>', {
      summary: 'Pay in advance for orders to come; the rest can be withdrawn',
      examples: ['seele account deposit 25'],
    })
      .option('--from <name>', 'account that pays', 'default')
      .option('--node <url>', 'node to send to'),
    async () => (await import('./commands/account.ts')).accountDeposit,
  );
}

function nodes(): void {
  const node = group(program, 'node', 'Validators on several machines: keys and genesis');
  runs(
    leaf(node, 'init', {
      summary: 'Make the key of a validator on this machine and show what a genesis names it by',
      examples: ['seele node init'],
    }).option('--key <name>', 'name of the key', 'validator'),
    async () => (await import('./commands/node.ts')).nodeInit,
  );
  runs(
    leaf(node, 'genesis', {
      summary: 'Write the genesis of a chain of validators; warns when no liar is tolerated',
      examples: ['seele node genesis --name plant --validators 01aa…,01bb… --fund seele1…=1000'],
    })
      .requiredOption(
        '--validators <keys>',
        'public keys, alone or as "node init" prints them, each with =weight if not 1',
      )
      .option('--name <name>', 'name of the chain', 'seele')
      .option('--fund <account=amount...>', 'first balances')
      .option('--profile <profile>', 'classic, seele-40, resilient-45 or crash-only', 'seele-40')
      .option('--delta-ms <n>', 'bound of the one-way delay the pace is set for', '50')
      .option('--out <file>', 'where to write it', 'genesis.cbor'),
    async () => (await import('./commands/node.ts')).nodeGenesis,
  );
  runs(
    leaf(node, 'finality <height>', {
      summary:
        'Show how much weight must have lied for a block to be undone, proven from the genesis',
      examples: ['seele node finality 12'],
    })
      .option('--genesis <file>', 'the genesis to trust; default: the one of this home')
      .option('--node <url>', 'node to ask'),
    async () => (await import('./commands/node-finality.ts')).nodeFinality,
  );
  nodeVotes(node);
}

/** What validators say to contract `stake`. */
function nodeVotes(node: Command): void {
  const parameters = group(node, 'parameters', 'What validators change of consensus');
  runs(
    leaf(parameters, 'show', {
      summary: 'Show the interval and the sampling rate in force, decided and voted for',
      examples: ['seele node parameters show'],
    }).option('--node <url>', 'node to ask'),
    async () => (await import('./commands/node-votes.ts')).parametersShow,
  );
  runs(
    leaf(parameters, 'vote', {
      summary:
        'Vote for an interval and a sampling rate; more than two thirds of the weight decide',
      examples: ['seele node parameters vote --epsilon-us 256 --sampling-per-mille 300'],
    })
      .requiredOption('--epsilon-us <n>', 'interval within which positions agree, 1 to 1000000')
      .requiredOption('--sampling-per-mille <n>', 'seats per thousand validators in large sets')
      .option('--key <name>', 'key of the validator', 'validator')
      .option('--node <url>', 'node to send to'),
    async () => (await import('./commands/node-votes.ts')).parametersVote,
  );
  runs(
    leaf(group(node, 'bls', 'Keys of signatures that add up'), 'register', {
      summary: 'Register the BLS key that follows from the validator key, with its proof',
      examples: ['seele node bls register', 'seele node bls register --next'],
    })
      .option('--next', 'the key that takes the place of the one in force, two eras later')
      .option('--key <name>', 'key of the validator', 'validator')
      .option('--node <url>', 'node to send to'),
    async () => (await import('./commands/node-votes.ts')).blsRegister,
  );
}

function providers(): void {
  const provider = group(program, 'provider', 'Offer this machine, look at who offers');
  runs(
    leaf(provider, 'list', {
      summary: 'Providers that the market knows',
      examples: ['seele provider list'],
    }).option('--market <url>', 'market to ask'),
    async () => (await import('./commands/provider.ts')).providerList,
  );
  runs(
    leaf(provider, 'show <provider>', {
      summary: 'One provider, by account or name',
      examples: ['seele provider show eco'],
    }).option('--market <url>', 'market to ask'),
    async () => (await import('./commands/provider.ts')).providerShow,
  );
  runs(
    leaf(provider, 'add [name]', {
      summary: 'Probe this machine, register its offer and start taking work',
      examples: ['seele provider add garage --domain public --level standard --price 0.002'],
    })
      .option('--domain <domain>', 'public, vetted, confidential or private', 'public')
      .option('--level <level>', 'eco, standard, fast or assured', 'standard')
      .option('--slots <n>', 'jobs at a time', '2')
      .option('--price <amount>', 'per core and second', '0.002')
      .option('--memory-price <amount>', 'per GiB and second', '0.0002')
      .option('--storage <size>', 'storage offered for deals, e.g. 10GiB', '0')
      .option('--storage-price <amount>', 'per GiB kept for a day', '1'),
    async () => (await import('./commands/provider.ts')).providerAdd,
  );
  runs(
    leaf(provider, 'drain <name>', {
      summary: 'Stop a provider of this home once its jobs are done',
      examples: ['seele provider drain garage'],
    }).option('--timeout <seconds>', 'wait so long for running jobs', '300'),
    async () => (await import('./commands/provider.ts')).providerDrain,
  );
  runs(
    leaf(provider, 'remove <name>', {
      summary: 'Stop a provider of this home and forget it (its key stays)',
      examples: ['seele provider remove garage'],
    }),
    async () => (await import('./commands/provider.ts')).providerRemove,
  );
}

function contracts(): void {
  const contract = group(program, 'contract', 'Write, test, deploy and call contracts');
  const chain = (command: Command) =>
    command
      .option('--from <name>', 'account that pays (default: default)')
      .option('--node <url>', 'node to send to')
      .option('--args <json>', 'list of arguments, e.g. \'["seele1…", 5]\'')
      .option('--value <units>', 'money that goes with the call, smallest units')
      .option('--fuel <limit>', 'most fuel it may burn');
  runs(
    leaf(contract, 'new <directory>', {
      summary: 'Begin a contract from a template, with its tests',
      examples: ['seele contract new mytoken --template token'],
    }).option('--template <name>', 'token, auction, treasury or tally (AssemblyScript)', 'token'),
    async () => (await import('./commands/contract.ts')).contractNew,
  );
  runs(
    leaf(contract, 'build [directory]', {
      summary: 'Build a contract and load it once, as the chain will',
      examples: ['seele contract build mytoken'],
    }).option('--out <file>', 'write the code there'),
    async () => (await import('./commands/contract.ts')).contractBuild,
  );
  runs(
    leaf(contract, 'test [directory]', {
      summary: 'Run a contract’s tests on a chain in memory',
      examples: ['seele contract test mytoken'],
    }),
    async () => (await import('./commands/contract.ts')).contractTest,
  );
  runs(
    chain(
      leaf(contract, 'deploy [directory]', {
        summary: 'Put a contract on the chain; prints its account',
        examples: [`seele contract deploy mytoken --init init --args '["BEE", 1000]'`],
      }),
    )
      .option('--init <method>', 'call this method in the same transaction, with --args')
      .option('--name <name>', 'register a name for it')
      .option('--salt <text>', 'tells deployments of the same code apart'),
    async () => (await import('./commands/contract.ts')).contractDeploy,
  );
  runs(
    chain(
      leaf(contract, 'call <contract> <method>', {
        summary: 'Call a contract; with --view on the last state, free and without effect',
        examples: [`seele contract call seele1… balance --args '["seele1…"]' --view`],
      }),
    ).option('--view', 'ask only: nothing is sent'),
    async () => (await import('./commands/contract.ts')).contractCall,
  );
}

function measurements(): void {
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

for (const add of [lifecycle, accounts, nodes, providers]) add();
addStorage(program);
const data = group(program, 'data', 'Describe, publish, prove, grant and find datasets');
for (const add of [addOwnerVerbs, addGrantVerbs, addCatalogueVerbs]) add(data);
addJobs(program);
addProofs(program);
addDisputes(program);
addWebhooks(program);
for (const add of [contracts, measurements]) add();
await runProgram(program, process.argv.slice(2));
