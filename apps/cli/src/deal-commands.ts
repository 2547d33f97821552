/** The verbs of `seele storage` that are about deals. */
import type { Command } from 'commander';
import { collect, leaf, runs } from './frame/command.ts';

const upkeep = () => import('./commands/storage-upkeep.ts');

export function addDeals(store: Command): void {
  const urls = (command: Command) =>
    command
      .option('--node <url>', 'chain node to use')
      .option('--storage <url>', 'storage RPC to use')
      .option('--token <text>', 'its bearer token (default: STORAGE_TOKEN or this home’s)')
      .option('--from <name>', 'account whose deal it is', 'default');
  const placing = (command: Command) =>
    command
      .option('--gateway <url>', 'your storage’s gateway, where providers fetch shards')
      .option('--per-operator <n>', 'most shards with one operator', '1');
  runs(
    placing(
      urls(
        leaf(store, 'deal <file|cid>', {
          summary: 'Have a file or content kept by others, who are paid while they prove it',
          examples: [
            'seele storage deal claims.csv --replicas 3 --term 30d',
            'seele storage deal claims.csv --erasure 10+6 --term 1d --epoch 1h --price 2 --quote',
          ],
        }),
      ),
    )
      .option('--replicas <n>', 'so many copies (default 3)')
      .option('--erasure <k+m>', 'k shards that are enough, m more that may be lost, e.g. 10+6')
      .option('--term <time>', 'how long, e.g. 30d', '30d')
      .option('--epoch <time>', 'time between two proofs', '1h')
      .option('--price <amount>', 'most for a GiB and day')
      .option(
        '--collateral <amount>',
        'a provider puts down for a shard (default: 100 epochs’ price)',
      )
      .option('--samples <n>', 'sectors asked for in each challenge', '10')
      .option('--repairer <account|none>', 'who repairs it (default: the first that offers to)')
      .option('--encrypt-to <key>', 'also readable with this key (seele storage key)', collect, [])
      .option('--plain', 'do not encrypt the file')
      .option('--quote', 'say what it costs, and do nothing')
      .option('--timeout <seconds>', 'wait so long for providers', '120'),
    async () => (await import('./commands/storage-deal.ts')).storageDeal,
  );
  runs(
    urls(
      leaf(store, 'status [deal]', {
        summary: 'Show your deals, or one: who keeps what, the last proofs, how it can be read',
        examples: ['seele storage status', 'seele storage status 3f9a01 --check 5'],
      }),
    ).option('--check <n>', 'read so many pieces from each provider, and measure'),
    async () => (await upkeep()).storageStatus,
  );
  runs(
    placing(
      urls(
        leaf(store, 'repair <deal>', {
          summary: 'Make lost shards of a deal anew now, with other providers',
          examples: ['seele storage repair 3f9a01'],
        }),
      ),
    ),
    async () => (await upkeep()).storageRepair,
  );
  runs(
    urls(
      leaf(store, 'renew <deal>', {
        summary: 'Let a deal run longer, at its price',
        examples: ['seele storage renew 3f9a01 --by 30d'],
      }),
    ).requiredOption('--by <time>', 'so much longer, e.g. 30d'),
    async () => (await upkeep()).storageRenew,
  );
  runs(
    urls(
      leaf(store, 'end <deal>', {
        summary: 'End a deal early; what is not used comes back',
        examples: ['seele storage end 3f9a01'],
      }),
    ),
    async () => (await upkeep()).storageEnd,
  );
  runs(
    urls(
      leaf(store, 'top-up <deal> <amount>', {
        summary: 'Add money for repairs of a deal',
        examples: ['seele storage top-up 3f9a01 0.5'],
      }),
    ),
    async () => (await upkeep()).storageTopUp,
  );
  runs(
    urls(
      leaf(store, 'offers', {
        summary: 'Who offers storage, and for how much',
        examples: ['seele storage offers'],
      }),
    ),
    async () => (await import('./commands/storage-deal.ts')).storageOffers,
  );
}
