/** The verbs of `seele data` for owners of datasets. */
import type { Command } from 'commander';
import { collect, leaf, runs } from './frame/command.ts';

const services = (command: Command) =>
  command
    .option('--node <url>', 'node to record on')
    .option('--storage <url>', 'storage RPC to use')
    .option('--token <text>', 'its bearer token (default: STORAGE_TOKEN or this home’s)');

export function addOwnerVerbs(data: Command): void {
  runs(
    services(
      leaf(data, 'add <source>', {
        summary:
          'Look at a file, folder or table, propose what of it becomes public, publish it with --yes',
        examples: [
          'seele data add claims.csv',
          'seele data add claims.csv --describe claims.yaml --yes',
          'seele data add postgresql://me@db.example/clinic#public.visits --mode metadata-only --yes',
        ],
      }),
    )
      .option('--name <name>', 'name of the dataset (default: the source’s)')
      .option('--from <name>', 'account that owns it', 'default')
      .option('--describe <file>', 'YAML: what is said about it and what of it is public')
      .option('--draft <file>', 'write such a file to begin with, and end')
      .option('--mode <mode>', 'ipfs (encrypted in storage) or metadata-only (the data stays here)')
      .option('--per-column', 'each column in a container of its own, with readers of its own')
      .option(
        '--encrypt-to <key>',
        'a further reader of the content (seele storage key)',
        collect,
        [],
      )
      .option('--yes', 'take the proposal: encrypt, store, record'),
    async () => (await import('./commands/data-add.ts')).dataAdd,
  );
  runs(
    leaf(data, 'list', {
      summary: 'Datasets of this home, and their newest versions',
      examples: ['seele data list'],
    }),
    async () => (await import('./commands/data-add.ts')).dataList,
  );
  runs(
    services(
      leaf(data, 'watch [names...]', {
        summary:
          'Publish a version whenever a source changes, until Ctrl-C (default: all datasets of the home)',
        examples: ['seele data watch', 'seele data watch claims --rollout 10@+20,100@+200'],
      }),
    )
      .option('--rollout <steps>', 'who takes new versions: percent@height or percent@+blocks, …')
      .option('--debounce <ms>', 'a source must be quiet for so long', '150')
      .option('--drop', 'give up the slots of PostgreSQL that watch these datasets, and end'),
    async () => (await import('./commands/data-watch.ts')).dataWatch,
  );
  runs(
    services(
      leaf(data, 'rollout <name>', {
        summary:
          'Say which share of the readers takes a version from which block on, or call it back',
        examples: [
          'seele data rollout claims --steps 10@+20,50@+200,100@+400',
          'seele data rollout claims --back',
        ],
      }),
    )
      .option('--version <n>', 'number of the version (default: the newest)')
      .option('--steps <steps>', 'percent@height or percent@+blocks, …')
      .option(
        '--fallback <n>',
        'number of the version that the others keep (default: the one before)',
      )
      .option('--back', 'all readers return to the fallback'),
    async () => (await import('./commands/data-watch.ts')).dataRollout,
  );
  runs(
    leaf(data, 'prove <name>', {
      summary:
        'Prove that a public directory is part of the complete one, or what single statements of it say; --verify checks, offline',
      examples: [
        'seele data prove claims --out claims.proof',
        'seele data prove claims --show rowCount --out rows.proof --directory claims.nq',
        'seele data prove claims.nq --verify claims.proof --whole',
      ],
    })
      .option('--version <n>', 'number of the version (default: the newest)')
      .option('--show <text>', 'statements that contain this text; repeat for more', collect, [])
      .option('--out <file>', 'where the proof is written')
      .option('--directory <file>', 'also write the public directory there')
      .option(
        '--verify <file>',
        'check this proof; <name> is then the file of the public directory',
      )
      .option(
        '--whole',
        'with --verify: refuse a proof of anything but all that the public directory says',
      ),
    async () => (await import('./commands/data-prove.ts')).dataProve,
  );
}

/** Data that stays with its owner. */
export function addGrantVerbs(data: Command): void {
  const node = (command: Command) => command.option('--node <url>', 'node to ask');
  runs(
    node(
      leaf(data, 'grant <name>', {
        summary: 'Let an account read a dataset that stays here: a signed grant',
        examples: [
          'seele data grant claims --to seele1… --purpose research --uses 5 --days 30 --out claims.grant',
        ],
      }),
    )
      .requiredOption('--to <account>', 'who may read: seele1…, or an account of this home')
      .requiredOption('--purpose <text>', 'what for; readers and the log see it')
      .option('--uses <n>', 'how many times', '1')
      .option('--days <n>', 'how long', '30')
      .option('--out <file>', 'write it there instead of stdout'),
    async () => (await import('./commands/data-grant.ts')).dataGrant,
  );
  runs(
    node(
      leaf(data, 'revoke <name>', {
        summary: 'Void all grants for a dataset that were given so far',
        examples: ['seele data revoke claims'],
      }),
    ),
    async () => (await import('./commands/data-grant.ts')).dataRevoke,
  );
  runs(
    node(
      leaf(data, 'serve', {
        summary: 'Serve the datasets that stay here to holders of grants, until Ctrl-C',
        examples: ['seele data serve --port 7420 --public-url https://data.clinic.example'],
      }),
    )
      .option('--host <address>', 'where to listen', '127.0.0.1')
      .option('--port <n>', 'port to listen on; 0 for a free one', '0')
      .option('--public-url <url>', 'address of the proxy with TLS before it')
      .option('--no-announce', 'do not say on the chain where it is served'),
    async () => (await import('./commands/data-grant.ts')).dataServe,
  );
  runs(
    node(
      leaf(data, 'fetch <grant-file>', {
        summary: 'Read data from its owner with a grant',
        examples: ['seele data fetch claims.grant --out claims.csv --from bob'],
      }),
    )
      .option('--out <file>', 'where the data goes')
      .option('--file <name>', 'file of a folder')
      .option('--from <name>', 'account that the grant is for', 'default')
      .option('--range <first-last>', 'these bytes only')
      .option('--use <hex>', 'the use that a further range belongs to'),
    async () => (await import('./commands/data-grant.ts')).dataFetch,
  );
}
