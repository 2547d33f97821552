/** The verbs of `seele storage`. */
import type { Command } from 'commander';
import { addDeals } from './deal-commands.ts';
import { collect, group, leaf, runs } from './frame/command.ts';

export function addStorage(program: Command): void {
  const store = group(program, 'storage', 'Put data into storage and take it out');
  const urls = (command: Command) =>
    command
      .option('--storage <url>', 'storage RPC to use')
      .option('--token <text>', 'its bearer token (default: STORAGE_TOKEN or this home’s)');
  runs(
    urls(
      leaf(store, 'put <file>', {
        summary: 'Store a file; prints its content id',
        examples: [
          'seele storage put data.csv',
          'seele storage put data.csv --encrypt-to x25519:1f0c… --encrypt-to default',
        ],
      }),
    )
      .option(
        '--encrypt-to <key|account>',
        'encrypt before anything is sent: to this key (seele storage key) and your own; repeat for more',
        collect,
        [],
      )
      .option('--from <name>', 'your account, which can always read it', 'default'),
    async () => (await import('./commands/storage.ts')).storagePut,
  );
  runs(
    urls(
      leaf(store, 'get <cid|deal>', {
        summary: 'Read content back, every block checked; of a deal, from the shards that answer',
        examples: [
          'seele storage get bafkrei… --out data.csv',
          'seele storage get 3f9a01 --out data.csv',
        ],
      }),
    )
      .option('--out <file>', 'write there instead of stdout')
      .option('--max <bytes>', 'refuse longer content', String(2 ** 30))
      .option('--from <name>', 'account whose key opens what is encrypted', 'default')
      .option('--path <name>', 'file of an encrypted folder'),
    async () => (await import('./commands/storage.ts')).storageGet,
  );
  runs(
    urls(
      leaf(store, 'fetch <cid>', {
        summary: 'Fetch content from another storage into your own, every block checked',
        examples: ['seele storage fetch bafybei… --source http://storage.example:7412'],
      }),
    ).requiredOption('--source <url>', 'gateway of the storage that has it'),
    async () => (await import('./commands/storage.ts')).storageFetch,
  );
  runs(
    urls(
      leaf(store, 'export <cid> <file>', {
        summary: 'Write everything that a content id reaches into a CAR file',
        examples: ['seele storage export bafybei… data.car'],
      }),
    ),
    async () => (await import('./commands/storage.ts')).storageExport,
  );
  runs(
    urls(
      leaf(store, 'import <file>', {
        summary: 'Take a CAR file in, every block checked, and pin its roots',
        examples: ['seele storage import data.car'],
      }),
    ),
    async () => (await import('./commands/storage.ts')).storageImport,
  );
  runs(
    urls(
      leaf(store, 'gc', {
        summary: 'Remove what no pin needs from your storage; spares what is young or in work',
        examples: ['seele storage gc'],
      }),
    ),
    async () => (await import('./commands/storage.ts')).storageGc,
  );
  addDeals(store);
  runs(
    leaf(store, 'key', {
      summary: 'Print the key that others encrypt to, so that you can read it',
      examples: ['seele storage key', 'seele storage key --from alice'],
    }).option('--from <name>', 'account of this home', 'default'),
    async () => (await import('./commands/storage.ts')).storageKey,
  );
}
