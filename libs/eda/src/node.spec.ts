import { createSigner, hashOf, keyPairFromSeed } from '#libs/crypto';
import { utf8 } from '#libs/kernel';
import { createAuthenticator } from './authenticator.ts';
import { genesisBase } from './base.ts';
import { decodeJournalRecord, encodeJournalRecord } from './journal.ts';
import { type EdaMessage, decodeMessage, encodeMessage } from './messages.ts';
import { EdaNode } from './node.ts';
import { DEFAULT_PARAMETERS, type EdaConfig, type JournalRecord } from './types.ts';
import { createValidatorSet, leaderOf } from './validator-set.ts';

const GENESIS_US = 1_900_000_000_000_000;
const ROOTS = {
  stateRoot: '11'.repeat(32),
  receiptsRoot: '22'.repeat(32),
  outboxRoot: '33'.repeat(32),
};
const payloadRoot = (payload: Uint8Array) => hashOf('seele/eda-payload/1', payload);

/** One validator alone (W = 1, Q = 1) with real keys: every rule runs, nothing travels. */
function alone() {
  const seed = new Uint8Array(32).fill(5);
  const signer = createSigner(seed);
  const config: EdaConfig = {
    chain: 'cc'.repeat(32),
    publicKey: signer.publicKey,
    auth: createAuthenticator({ signer, seed, payloadRoot }),
    parameters: DEFAULT_PARAMETERS,
    genesisTimeUs: GENESIS_US,
    genesisSet: createValidatorSet([{ publicKey: signer.publicKey, weight: 1 }], 'classic'),
    genesisRoots: ROOTS,
  };
  return config;
}

function drive(node: EdaNode, journal: JournalRecord[], untilUs: number, fromUs = GENESIS_US) {
  const sent: EdaMessage[] = [];
  const decided: string[] = [];
  const carry = (effects: ReturnType<EdaNode['handle']>, nowUs: number) => {
    for (const effect of effects) {
      if (effect.kind === 'journal') journal.push(effect.record);
      if (effect.kind === 'broadcast') sent.push(effect.message);
      if (effect.kind === 'decided') decided.push(effect.hash);
      if (effect.kind === 'ready')
        carry(node.handle({ kind: 'executed', slot: effect.slot, roots: ROOTS }, nowUs), nowUs);
    }
  };
  let nowUs = fromUs;
  carry(node.handle({ kind: 'author', payload: utf8('transactions'), count: 1 }, nowUs), nowUs);
  for (; nowUs < untilUs; nowUs = Math.max(nowUs + 1, node.nextWakeUs))
    carry(node.handle({ kind: 'wake' }, nowUs), nowUs);
  return { sent, decided };
}

test('with ed25519 and ECVRF: a block becomes final; messages and journal come back from bytes', () => {
  const journal: JournalRecord[] = [];
  const node = new EdaNode(alone(), GENESIS_US);
  const { sent, decided } = drive(node, journal, GENESIS_US + 2_000_000);
  expect(decided.length).toBe(1);
  for (const message of sent) {
    const bytes = encodeMessage(message);
    expect(encodeMessage(decodeMessage(bytes))).toEqual(bytes);
  }
  const stored = journal.map((entry) => decodeJournalRecord(encodeJournalRecord(entry)));
  expect(stored.map(encodeJournalRecord)).toEqual(journal.map(encodeJournalRecord));
  const again = new EdaNode(alone(), GENESIS_US + 2_000_000, stored);
  expect(again.lastCut).toEqual(node.lastCut);
});

test('leaders: a permutation by stake, the same for everybody, another per slot', () => {
  const keys = Array.from({ length: 4 }, (_, i) => keyPairFromSeed(new Uint8Array(32).fill(i + 1)));
  const weights = [1, 1, 1, 7];
  const set = createValidatorSet(
    keys.map(({ publicKey }, i) => ({ publicKey, weight: weights[i] as number })),
    'classic',
  );
  const beacon = utf8('beacon');
  let first = 0;
  for (let slot = 1; slot <= 400; slot++) {
    const order = [0, 1, 2, 3].map((view) => leaderOf(set, beacon, slot, view));
    expect(order.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3]);
    expect(leaderOf(set, beacon, slot, 4)).toBe(order[0]);
    if (order[0] === 3) first += 1;
  }
  // 70 % of the stake leads first 70 % of the time (standard error 2.3 %).
  expect(first / 400).toBeGreaterThan(0.6);
  expect(first / 400).toBeLessThan(0.8);
});

test('what state changed is in force from the border of its era on, and after a restart', () => {
  const eraUs = 100 * DEFAULT_PARAMETERS.deltaUs;
  const era = GENESIS_US / eraUs;
  const fromUs = GENESIS_US - 100_000;
  const config = {
    ...alone(),
    parameters: { ...DEFAULT_PARAMETERS, eraUs },
    genesisTimeUs: fromUs,
  };
  const set = config.genesisSet;
  const changed = { era, set, epsilonUs: 700, samplingPerMille: 40 };
  const node = new EdaNode(config, fromUs);
  node.handle({ kind: 'set', ...changed }, fromUs);
  expect([node.era, node.parameters.epsilonUs]).toEqual([era - 1, DEFAULT_PARAMETERS.epsilonUs]);
  drive(node, [], GENESIS_US + 2_000_000, GENESIS_US + 100_000);
  expect([node.era, node.parameters]).toEqual([
    era,
    { ...config.parameters, epsilonUs: 700, samplingPerMille: 40 },
  ]);
  // The last one: nothing was decided anew for an era, which goes on with the same.
  for (const later of [era, era + 1]) {
    const base = { ...genesisBase(config.chain, fromUs, eraUs), era: later };
    const sets = [changed, { era: era + 1, set }];
    expect(new EdaNode({ ...config, base, sets }, fromUs).parameters).toEqual(node.parameters);
  }
});
