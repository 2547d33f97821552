/** `seele node …`: keys and genesis of validators, what they vote for. */
import type { Command } from 'commander';
import { group, leaf, runs } from './frame/command.ts';

export function addNodes(program: Command): void {
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
