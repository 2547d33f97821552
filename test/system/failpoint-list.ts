/** Every named failpoint of the processes, and what makes a process pass it. */

export interface Place {
  readonly name: string;
  /** Running orders pass it, or storing something does, or only a collection of garbage does. */
  readonly passedBy: 'orders' | 'add' | 'collect';
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

/**
 * What orders of many tasks pass. The crash matrix plays orders of one; `seele bench e2e --full` kills a
 * market at any moment of one of many.
 */
export const UNIT_PLACES = [
  'market.units.before',
  'market.units.after',
  'market.array-result.before',
  'market.array-result.after',
  'provider.units.before-save',
  'provider.units.after-save',
  'provider.units.report',
  'provider.unit.before',
  'provider.unit.after',
] as const;

/** What markets with webhooks pass; test/e2e/webhooks.long-spec.ts kills one there. */
export const WEBHOOK_PLACES = ['market.webhook.send.before', 'market.webhook.send.after'] as const;

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
  ...group('add', 'storage.add', 'before', 'during', 'after'),
  ...group('add', 'storage.block', 'before', 'during', 'after'),
  ...group('add', 'storage.pin', 'before', 'during', 'after'),
  ...group('collect', 'storage.collect', 'before', 'during', 'after'),
];
