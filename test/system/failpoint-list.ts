/** Every named failpoint of the processes, and what makes a process pass it. */

export interface Place {
  readonly name: string;
  /**
   * Running orders pass it, or only when their providers die; or only orders whose results are run again, that
   * name a validator, or that read a task of another one; or storing something does, or only a collection
   * of garbage does.
   */
  readonly passedBy: 'orders' | 'losses' | 'replayed' | 'validated' | 'reading' | 'add' | 'collect';
}

const group = (passedBy: Place['passedBy'], prefix: string, ...ends: readonly string[]) =>
  ends.map((end): Place => ({ name: `${prefix}.${end}`, passedBy }));

/** What only validators pass; `cluster-run.ts` kills them there. */
export const CONSENSUS_PLACES = [
  'node.journal.before-sync',
  'node.journal.after-sync',
  'node.journal.rotate',
  'node.consensus.before-send',
  'node.consensus.after-send',
  'node.execute.before',
  'node.execute.after',
  'node.result.before-send',
  'node.result.certified',
] as const;

/** What a node passes that copies the state instead of executing every block. */
export const COPY_PLACES = ['node.copy.progress', 'node.copy.before-begin'] as const;

/** What orders of many tasks pass: bound, handed over, run, reported, looked at, paid, taken back. */
const UNIT_PLACES: readonly Place[] = [
  ...group('orders', 'market.lease-units', 'before', 'after'),
  ...group('orders', 'market.bind-units', 'before', 'after'),
  ...group('orders', 'provider.units', 'before-save', 'after-save', 'report'),
  ...group('orders', 'provider.unit', 'before', 'after'),
  ...group('orders', 'market.units', 'before', 'after'),
  ...group('orders', 'market.pay-units', 'before', 'after'),
  ...group('losses', 'market.release-units', 'before', 'after'),
  ...group('orders', 'market.array-result', 'before', 'after'),
];

/** What markets with webhooks pass; test/e2e/webhooks.long-spec.ts kills one there. */
export const WEBHOOK_PLACES = ['market.webhook.send.before', 'market.webhook.send.after'] as const;

/** What a provider passes that keeps shards of storage deals, while it takes, proves and drops them. */
export const KEEPER_PLACES = [
  ...['deals.keep.fetched', 'deals.keep.before-accept', 'deals.keep.after-accept'],
  ...['deals.prove.before', 'deals.prove.after', 'deals.drop.before'],
] as const;
/** What a repairer passes; `deals-crash.long-spec.ts` kills both there. */
export const REPAIR_PLACES = [
  ...['deals.repair.before', 'deals.repair.stored', 'deals.repair.after'],
] as const;

/** What owners of data pass while they publish, watch and serve; `data-watch-kills.long-spec.ts` kills there. */
export const DATA_PLACES = [
  ...['data.prepare.before', 'data.prepare.after', 'data.store.after', 'data.record.after'],
  ...['data.watch.noticed', 'data.watch.taken', 'data.watch.published', 'data.serve.counted'],
] as const;

/** What every node passes. */
export const EXECUTION_PLACES = [
  'node.commit.before',
  'node.commit.in',
  'node.commit.after',
  'node.block.after-publish',
] as const;

/** What a machine with one sequencer passes; the crash matrix kills it there. */
export const PLACES: readonly Place[] = [
  ...group('orders', 'node.submit', 'before-admit', 'after-admit'),
  ...EXECUTION_PLACES.map((name): Place => ({ name, passedBy: 'orders' })),
  ...group('orders', 'market.commit', 'before', 'during', 'after'),
  ...group('orders', 'market.release', 'before', 'during', 'after'),
  ...group('orders', 'market.enqueue', 'before', 'after'),
  ...group('orders', 'market.bind', 'before', 'after'),
  ...group('orders', 'market.result', 'before', 'after'),
  ...group('orders', 'market.submit', 'before', 'after'),
  ...group('orders', 'market.block', 'before', 'after'),
  ...group('orders', 'provider.lease', 'before-save', 'after-save'),
  ...group('orders', 'provider.run', 'before', 'started'),
  ...group('orders', 'provider.upload', 'before', 'after'),
  ...group('orders', 'provider.save-point', 'before', 'after'),
  ...group('orders', 'provider.delivery', 'before-save', 'after-save'),
  ...group('orders', 'provider.forget', 'before'),
  ...UNIT_PLACES,
  ...group('reading', 'market.input', 'before', 'after'),
  ...group('replayed', 'market.replay', 'before', 'after'),
  ...group('validated', 'market.validate', 'before', 'after'),
  ...group('add', 'storage.add', 'before', 'during', 'after'),
  ...group('add', 'storage.block', 'before', 'during', 'after'),
  ...group('add', 'storage.pin', 'before', 'during', 'after'),
  ...group('collect', 'storage.collect', 'before', 'during', 'after'),
];
