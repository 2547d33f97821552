/** `seele contract …`: from a template to a deployed contract. */
import type { Command } from 'commander';
import { group, leaf, runs } from './frame/command.ts';

export function addContracts(program: Command): void {
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
