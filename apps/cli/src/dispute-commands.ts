/** `seele dispute …` */
import type { Command } from 'commander';
import { group, leaf, runs } from './frame/command.ts';

const verbs = () => import('./commands/dispute.ts');

export function addDisputes(program: Command): void {
  const disputes = group(
    program,
    'dispute',
    'Doubt delivered results of metered jobs on the chain',
  );
  const urls = (command: Command) =>
    command
      .option('--node <url>', 'chain node to use')
      .option('--from <name>', 'account to act for', 'default');
  const running = (command: Command) =>
    urls(command)
      .option('--market <url>', 'market to ask')
      .option('--storage <url>', 'storage RPC to use')
      .option('--token <text>', 'its bearer token (default: STORAGE_TOKEN or this home’s)')
      .option('--timeout <seconds>', 'stop watching after this long', '7200');
  runs(
    running(
      leaf(disputes, 'open <order>', {
        summary: 'Run a delivered job again, and dispute it when it comes to something else',
        examples: ['seele dispute open 3f9a01bb22cd --follow'],
      }),
    ).option('--follow', 'play your part until it is decided'),
    async () => (await verbs()).disputeOpen,
  );
  runs(
    running(
      leaf(disputes, 'answer <dispute>', {
        summary: 'Play your part in a dispute until it is decided; providers do that by themselves',
        examples: ['seele dispute answer 3f9a01bb22cd --from provider-eco'],
      }),
    ),
    async () => (await verbs()).disputeAnswer,
  );
  runs(
    urls(
      leaf(disputes, 'show <dispute|order>', {
        summary: 'Show both claims, how far they were narrowed, and what the panel found',
        examples: ['seele dispute show 3f9a01bb22cd'],
      }),
    ),
    async () => (await verbs()).disputeShow,
  );
  runs(
    urls(
      leaf(disputes, 'list', {
        summary: 'List the disputes of the chain',
        examples: ['seele dispute list'],
      }),
    ),
    async () => (await verbs()).disputeList,
  );
  runs(
    urls(
      leaf(disputes, 'bond [amount]', {
        summary: 'Put money down that wrong results cost, or show what is bonded',
        examples: ['seele dispute bond 50 --from provider-eco'],
      }),
    ),
    async () => (await verbs()).disputeBond,
  );
}
