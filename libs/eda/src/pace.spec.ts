import { createSigner, hashOf } from '#libs/crypto';
import { utf8 } from '#libs/kernel';
import { createAuthenticator } from './authenticator.ts';
import type { EdaMessage } from './messages.ts';
import { EdaNode } from './node.ts';
import { nextOpening } from './pace.ts';
import { DEFAULT_PARAMETERS, type EdaEffect, SETTLE_DELTAS } from './types.ts';
import { createValidatorSet } from './validator-set.ts';
import { RESEND_DELTAS } from './voting-types.ts';

const GENESIS_US = 1_900_000_000_000_000;
const CHAIN = 'cc'.repeat(32);
const ROOTS = { stateRoot: CHAIN, receiptsRoot: CHAIN, outboxRoot: CHAIN };
const { deltaUs } = DEFAULT_PARAMETERS;
const INTERVAL_US = SETTLE_DELTAS * deltaUs;

/** One validator alone, which makes a block every 60 ms and executes each cut for so long. */
function run(executesUs: number, untilUs: number) {
  const seed = new Uint8Array(32).fill(5);
  const signer = createSigner(seed);
  const payloadRoot = (payload: Uint8Array) => hashOf('seele/eda-payload/1', payload);
  const node = new EdaNode(
    {
      chain: CHAIN,
      publicKey: signer.publicKey,
      auth: createAuthenticator({ signer, seed, payloadRoot }),
      parameters: DEFAULT_PARAMETERS,
      genesisTimeUs: GENESIS_US,
      genesisSet: createValidatorSet([{ publicKey: signer.publicKey, weight: 1 }], 'classic'),
      genesisRoots: ROOTS,
    },
    GENESIS_US,
  );
  const decidedAtUs: number[] = [];
  const views: number[] = [];
  const executing: { slot: number; atUs: number }[] = [];
  const carry = (effects: readonly EdaEffect[], nowUs: number): void => {
    for (const effect of effects) {
      if (effect.kind === 'decided') {
        decidedAtUs.push(nowUs);
        views.push(effect.certificate.view);
      }
      if (effect.kind === 'ready') executing.push({ slot: effect.slot, atUs: nowUs + executesUs });
    }
  };
  for (let nowUs = GENESIS_US; nowUs < untilUs; nowUs += 1_000) {
    const done = executing[0];
    if (done && done.atUs <= nowUs) {
      executing.shift();
      carry(node.handle({ kind: 'executed', slot: done.slot, roots: ROOTS }, nowUs), nowUs);
    }
    if (nowUs % 60_000 === 0)
      carry(node.handle({ kind: 'author', payload: utf8(`${nowUs}`), count: 1 }, nowUs), nowUs);
    if (nowUs >= node.nextWakeUs) carry(node.handle({ kind: 'wake' }, nowUs), nowUs);
  }
  return { node, decidedAtUs, views };
}

test('slots open at one interval: what voting took does not add to it', () => {
  // Alone, a cut is decided as it is proposed; that it is executed late has the same effect.
  const slow = INTERVAL_US + 37_000;
  const { decidedAtUs } = run(slow, GENESIS_US + 3_000_000);
  // The first slots were open before there was anything to list.
  const steady = decidedAtUs.slice(3);
  const gaps = steady.slice(1).map((at, i) => at - (steady[i] as number));
  expect(gaps.length).toBeGreaterThanOrEqual(5);
  // At once, not with the next tick, and not an interval later (the step of this test is 1 ms).
  for (const gap of gaps) expect(Math.abs(gap - slow)).toBeLessThanOrEqual(1_000);
});

test('the more validators beyond four, the longer a slot rests after a decision, up to one interval', () => {
  const rest = (validators: number) => nextOpening(0, 900, 90, validators) - 900;
  expect([1, 4, 5, 7, 13, 64].map(rest)).toEqual([0, 0, 10, 30, 90, 90]);
  // Decided in good time: one interval after it opened.
  expect(nextOpening(0, 20, 90, 7)).toBe(90);
});

test('a slot does not open before the cut before it is executed', () => {
  const { decidedAtUs } = run(2 * INTERVAL_US, GENESIS_US + 3_000_000);
  for (const [i, at] of decidedAtUs.entries())
    if (i > 0) expect(at - (decidedAtUs[i - 1] as number)).toBeGreaterThanOrEqual(2 * INTERVAL_US);
});

test('a machine that executes slowly changes no view: no leader could do better', () => {
  // Longer than the timer of a view, and than a block may wait for agreement.
  const { views } = run(1_700_000, GENESIS_US + 8_000_000);
  expect(views.length).toBeGreaterThanOrEqual(4);
  expect(new Set(views)).toEqual(new Set([0]));
});

test('the last votes of a slot just decided are not answered with the decision, later ones are', () => {
  const { node, decidedAtUs } = run(1_000, GENESIS_US + 700_000);
  const { slot, hash } = node.lastCut;
  const vote = { chain: CHAIN, era: node.era, slot, view: 0, hash };
  const late = { from: 0, message: vote, signature: new Uint8Array(64) };
  const answers = (kind: 'prepare' | 'commit', nowUs: number) => {
    const message: EdaMessage = { kind, ...late };
    const effects = node.handle({ kind: 'message', peer: '01aa', message }, nowUs);
    return effects.map((effect) => effect.kind === 'send' && effect.message.kind);
  };
  const atUs = decidedAtUs.at(-1) as number;
  expect(answers('commit', atUs + RESEND_DELTAS * deltaUs - 1)).toEqual([]);
  expect(answers('commit', atUs + RESEND_DELTAS * deltaUs)).toEqual(['final']);
});
