import { createSigner, hashOf } from '#libs/crypto';
import { utf8 } from '#libs/kernel';
import { createAuthenticator } from './authenticator.ts';
import { type EdaBase, advanceBase, decodeBase, encodeBase, genesisBase } from './base.ts';
import { EdaNode } from './node.ts';
import { DEFAULT_PARAMETERS, type EdaConfig, type JournalRecord } from './types.ts';
import { createValidatorSet } from './validator-set.ts';

const GENESIS_US = 1_900_000_000_000_000;
const CHAIN = 'cc'.repeat(32);
const ROOTS = {
  stateRoot: '11'.repeat(32),
  receiptsRoot: '22'.repeat(32),
  outboxRoot: '33'.repeat(32),
};
const parameters = { ...DEFAULT_PARAMETERS, eraUs: 6_000_000 };

function alone(): EdaConfig {
  const seed = new Uint8Array(32).fill(5);
  const signer = createSigner(seed);
  const payloadRoot = (payload: Uint8Array) => hashOf('seele/eda-payload/1', payload);
  return {
    chain: CHAIN,
    publicKey: signer.publicKey,
    auth: createAuthenticator({ signer, seed, payloadRoot }),
    parameters,
    genesisTimeUs: GENESIS_US,
    genesisSet: createValidatorSet([{ publicKey: signer.publicKey, weight: 1 }], 'classic'),
    genesisRoots: ROOTS,
  };
}

/** Runs until `untilUs`, a block every second; what the host keeps is returned. */
function drive(node: EdaNode, fromUs: number, untilUs: number, base: EdaBase) {
  const journal: JournalRecord[] = [];
  let at = base;
  let count = 0;
  const carry = (effects: ReturnType<EdaNode['handle']>, nowUs: number) => {
    for (const effect of effects) {
      if (effect.kind === 'journal') journal.push(effect.record);
      if (effect.kind === 'decided')
        at = advanceBase(at, effect.body, effect.hash, parameters.eraUs);
      if (effect.kind === 'ready')
        carry(node.handle({ kind: 'executed', slot: effect.slot, roots: ROOTS }, nowUs), nowUs);
    }
  };
  let nextUs = fromUs;
  for (let nowUs = fromUs; nowUs < untilUs; nowUs = Math.max(nowUs + 1, node.nextWakeUs)) {
    if (nowUs >= nextUs && node.mayAuthor) {
      nextUs += 1_000_000;
      carry(
        node.handle({ kind: 'author', payload: utf8(`block ${++count}`), count: 1 }, nowUs),
        nowUs,
      );
    }
    carry(node.handle({ kind: 'wake' }, nowUs), nowUs);
  }
  return { journal, base: at };
}

const placeOf = ({ slot, hash, timeUs }: EdaBase | EdaNode['lastCut']) => ({ slot, hash, timeUs });

test('a node goes on from a base, over a border of eras, with the journal written since', () => {
  const first = new EdaNode(alone(), GENESIS_US);
  const start = genesisBase(CHAIN, GENESIS_US, parameters.eraUs);
  const early = drive(first, GENESIS_US, GENESIS_US + 10_000_000, start);
  expect(early.base.slot).toBeGreaterThan(5);
  expect(placeOf(early.base)).toEqual(placeOf(first.lastCut));
  expect(early.base.era).toBe(first.era);
  expect(first.era).toBeGreaterThan(start.era);
  const restored = decodeBase(encodeBase(early.base));
  expect(restored).toEqual(early.base);

  const config = { ...alone(), base: restored, baseRoots: ROOTS };
  const second = new EdaNode(config, GENESIS_US + 10_000_000, early.journal);
  expect(placeOf(second.lastCut)).toEqual(placeOf(first.lastCut));
  const late = drive(second, GENESIS_US + 10_000_000, GENESIS_US + 14_000_000, restored);
  expect(second.slot).toBeGreaterThan(first.slot);
  expect(placeOf(late.base)).toEqual(placeOf(second.lastCut));

  // Killed before the last cuts were executed: they are handed out again.
  const third = new EdaNode(config, GENESIS_US + 14_000_000, [...early.journal, ...late.journal]);
  const again = third.takeRestored().filter(({ kind }) => kind === 'ready');
  expect(again.map((effect) => effect.kind === 'ready' && effect.slot)).toEqual(
    Array.from({ length: second.slot - first.slot }, (_, i) => first.slot + i),
  );
  expect(third.takeRestored()).toEqual([]);
});
