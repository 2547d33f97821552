/** What single liars try, each aimed at one rule; whole families of lies are in eda.spec.ts and the fuzz. */
import type { EdaEffect, EdaMessage, MessageOf } from '#libs/eda';
import type { Behaviour } from './eda/adversaries.ts';
import { simulateEda } from './eda/simulate.ts';
import { readSimEdaArguments } from './eda/main.ts';
import { World, type WorldOptions } from './eda/world.ts';

const MS = 1000;
const S = 1_000_000;

const network = (liar: Behaviour, options: Partial<WorldOptions> = {}) =>
  new World({
    ...{ seed: 3, nodes: 7, profile: 'classic', delayUs: [500, 20_000] },
    behaviours: new Map([[6, liar]]),
    ...options,
  });

function feed(world: World, count: number, authors: number): void {
  for (let i = 0; i < count; i++)
    world.at(300 * MS + i * 150 * MS, () => world.submit(i % authors));
}

function isClean(world: World): void {
  expect(world.invariants.violations).toEqual([]);
  expect(world.invariants.checked).toBeGreaterThan(0);
  expect([...world.submittedAt.keys()].every((hash) => world.finalAt.has(hash))).toBe(true);
}

type Signed = MessageOf<'newview' | 'block'>;
const resign = (world: World, message: Signed): EdaMessage =>
  ({
    ...message,
    signature: world.auth.of(6).sign(message.kind, message.message as never),
  }) as EdaMessage;

const changing = (
  name: string,
  change: (message: EdaMessage, world: World) => EdaMessage[],
): Behaviour => ({
  name,
  rewrite: (_sim, effects, world) =>
    effects.flatMap((effect): EdaEffect[] =>
      effect.kind === 'broadcast'
        ? change(effect.message, world).map((message) => ({ kind: 'broadcast', message }))
        : [effect],
    ),
});

test('9: a NEWVIEW with a certificate that does not hold is in no justification', () => {
  const hash = 'ee'.repeat(32);
  const votes = [0, 1, 2, 3, 4].map((from) => ({ from, signature: new Uint8Array(64).fill(from) }));
  let told = 0;
  const badLock = changing('badLock', (message, world) => {
    if (message.kind !== 'newview') return [message];
    told += 1;
    const highQc = { view: Math.max(0, message.message.view - 1), hash, votes };
    return [resign(world, { ...message, message: { ...message.message, highQc } })];
  });
  const world = network(badLock);
  // No proposal of view 0 arrives, so every slot is decided by NEWVIEWs.
  world.intercept = (_from, _to, message) =>
    message.kind === 'proposal' && message.message.view === 0 ? undefined : 0;
  feed(world, 12, 6);
  world.run(20 * S);
  expect(told).toBeGreaterThan(1);
  expect(world.cuts.every(({ certificate }) => certificate.hash !== hash)).toBe(true);
  isClean(world);
});

test('12: an author that shows a block to one node only, or without the one before it, holds nobody up', () => {
  let hidden = 0;
  const hider: Behaviour = {
    name: 'hider',
    rewrite: (_sim, effects, world) =>
      effects.flatMap((effect): EdaEffect[] => {
        if (effect.kind !== 'broadcast' || effect.message.kind !== 'block') return [effect];
        hidden += 1;
        const { message } = effect;
        // The first ones nobody sees; of later ones, each goes to a single node.
        if (message.message.seq <= 2) return [];
        const to = world.nodes[message.message.seq % 6]?.key ?? '';
        return [{ kind: 'send', to, message }];
      }),
  };
  const world = network(hider);
  for (let i = 0; i < 12; i++) world.at(200 * MS + i * 100 * MS, () => world.submit(6));
  feed(world, 18, 6);
  world.run(8 * S);
  expect(hidden).toBeGreaterThan(2);
  const honest = [...world.submittedAt.keys()].filter(
    (hash) => world.invariants.blocks.get(hash)?.author !== 6,
  );
  expect(honest.length).toBeGreaterThan(12);
  expect(honest.every((hash) => world.finalAt.has(hash))).toBe(true);
  expect(world.invariants.violations).toEqual([]);
});

test('22: views that weight r claims to be in move nobody', () => {
  const runaway = changing('runaway', (message, world) => {
    if (message.kind !== 'newview' && message.kind !== 'tick') return [message];
    if (message.kind === 'tick') return [message];
    return [resign(world, { ...message, message: { ...message.message, view: 900 } })];
  });
  const world = network(runaway, {
    behaviours: new Map([
      [5, runaway],
      [6, runaway],
    ]),
  });
  world.intercept = (_from, _to, message) =>
    message.kind === 'proposal' && message.message.view === 0 ? undefined : 0;
  let highest = 0;
  const look = (): void => {
    for (const { node } of world.live()) highest = Math.max(highest, node?.view ?? 0);
    world.at(50 * MS, look);
  };
  world.at(0, look);
  feed(world, 10, 5);
  world.run(20 * S);
  expect(highest).toBeGreaterThan(0);
  expect(highest).toBeLessThan(20);
  isClean(world);
});

test('seele sim eda: every option, and the keys of its JSON', () => {
  const report = (...args: string[]) => {
    const read = readSimEdaArguments(['eda', ...args]);
    return simulateEda(read.options);
  };
  const keys = ['rounds', 'messages', 'bytes', 'finalityMs', 'violations', 'checked'];
  const cuts = report(
    ...['--nodes', '10', '--failed', '0.1', '--byzantine', '0.1', '--links-lost', '0.05'],
    ...['--adversary', 'all', '--profile', 'classic', '--epsilon-us', '200', '--blocks', '4'],
    ...['--seeds', '1-2', '--json'],
  );
  for (const key of keys) expect(typeof cuts[key as keyof typeof cuts]).toBe('number');
  expect(cuts.violations).toBe(0);
  expect(cuts.finalityMs).toBeGreaterThan(0);
  const pull = report(
    ...['--nodes', '300', '--mode', 'pull', '--sampling-rate', '0.1', '--spread-us', '1000000'],
    ...['--seed', '4', '--failed', '0.2'],
  );
  expect(Object.keys(pull)).toEqual(expect.arrayContaining(keys));
  expect(pull.rounds).toBeGreaterThan(1);
  const committee = report(
    '--nodes',
    '300',
    '--seats',
    '100',
    '--links-lost',
    '0.5',
    '--seed',
    '4',
  );
  expect(committee.rounds).toBeGreaterThan(1);
  // The default spread is 10^5 times the interval; a smaller one takes fewer rounds.
  const near = report(
    ...[
      '--nodes',
      '300',
      '--seats',
      '100',
      '--links-lost',
      '0.5',
      '--seed',
      '4',
      '--spread-us',
      '256',
    ],
  );
  expect(near.rounds ?? 99).toBeLessThan(committee.rounds ?? 0);
});
