/** The tree of commands. The code of a command is loaded when it is called. */
import { Command } from 'commander';
import { addCatalogueVerbs } from './catalogue-commands.ts';
import { addGrantVerbs, addOwnerVerbs } from './data-commands.ts';
import { addContracts } from './contract-commands.ts';
import { group, leaf, runs } from './frame/command.ts';
import { addDisputes } from './dispute-commands.ts';
import { addJobs, addProofs } from './job-commands.ts';
import { addMeasurements } from './measurement-commands.ts';
import { addNodes } from './node-commands.ts';
import { addStorage } from './storage-commands.ts';
import { addWebhooks } from './webhook-commands.ts';

function lifecycle(program: Command): void {
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
      summary: 'Start a development machine: four validators, storage, market, four providers',
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

function accounts(program: Command): void {
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

function providers(program: Command): void {
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

/** `seele` with all it can do, not yet run: see `runProgram`. */
export function createProgram(): Command {
  const program = new Command('seele')
    .description('Buy and sell computing and storage; every step is paid, checked and provable.')
    .addHelpText(
      'after',
      '\nExample:\n  $ seele quickstart\n\nExit codes: 0 done, 1 refused or failed, 2 wrong usage.',
    );
  for (const add of [lifecycle, accounts, addNodes, providers, addStorage]) add(program);
  const data = group(program, 'data', 'Describe, publish, prove, grant and find datasets');
  for (const add of [addOwnerVerbs, addGrantVerbs, addCatalogueVerbs]) add(data);
  for (const add of [addJobs, addProofs, addDisputes, addWebhooks]) add(program);
  for (const add of [addContracts, addMeasurements]) add(program);
  return program;
}
