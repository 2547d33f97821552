/** Declares `seele webhooks …`. */
import type { Command } from 'commander';
import { collect, group, leaf, runs } from './frame/command.ts';

export function addWebhooks(program: Command): void {
  const webhooks = group(program, 'webhooks', 'Events of your orders, sent to an address');
  const own = (command: Command) =>
    command
      .option('--from <name>', 'account that ordered', 'default')
      .option('--market <url>', 'market to ask');
  runs(
    own(
      leaf(webhooks, 'add <url>', {
        summary: 'Have events sent there, signed by the market, at least once and in order',
        examples: [
          'seele webhooks add https://hooks.example.com/seele',
          'seele webhooks add https://hooks.example.com/seele --order 3f… --events settled',
        ],
      }),
    )
      .option('--order <job>', 'only of this order')
      .option('--events <kind>', 'only this kind, or all; repeat for more', collect, []),
    async () => (await import('./commands/webhooks.ts')).webhooksAdd,
  );
  runs(
    own(
      leaf(webhooks, 'list', {
        summary: 'Your webhooks, how they do and why one was switched off',
        examples: ['seele webhooks list'],
      }),
    ),
    async () => (await import('./commands/webhooks.ts')).webhooksList,
  );
  runs(
    own(
      leaf(webhooks, 'remove <webhook>', {
        summary: 'Remove one, with what waits for it',
        examples: ['seele webhooks remove wh_5c…'],
      }),
    ),
    async () => (await import('./commands/webhooks.ts')).webhooksRemove,
  );
  runs(
    own(
      leaf(webhooks, 'resume <webhook>', {
        summary: 'Switch one on again; what waits is sent at once',
        examples: ['seele webhooks resume wh_5c…'],
      }),
    ),
    async () => (await import('./commands/webhooks.ts')).webhooksResume,
  );
  runs(
    own(
      leaf(webhooks, 'replay <webhook>', {
        summary: 'Send events of an order once more',
        examples: ['seele webhooks replay wh_5c… --order 3f… --from-sequence 4'],
      }),
    )
      .requiredOption('--order <job>', 'whose events')
      .option('--from-sequence <n>', 'the first one', '0')
      .option('--to-sequence <n>', 'the last one (default: all there are)'),
    async () => (await import('./commands/webhooks.ts')).webhooksReplay,
  );
  runs(
    own(
      leaf(webhooks, 'test <webhook>', {
        summary: 'Send an event `test` now and tell what came of it',
        examples: ['seele webhooks test wh_5c…'],
      }),
    ),
    async () => (await import('./commands/webhooks.ts')).webhooksTest,
  );
}
