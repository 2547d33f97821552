import fc from 'fast-check';
import { createSeededRandomness } from '#libs/kernel';
import { majorityWrong, quorumOdds } from './collusion.ts';
import { type ReplicaAnswer, answerKey, judgeReplicas } from './quorum.ts';
import { crowdOf, regimeFor, wrongResultRisk } from './regime.ts';
import { judgeStake } from './stake.ts';
import {
  NO_TRUST,
  type Trust,
  checkChance,
  isExcluded,
  isTrusted,
  provedRight,
  provedWrong,
} from './trust.ts';

const percent = (p: number): number => Math.round(p * 10_000) / 100;

describe('risk of collusion', () => {
  test.each([
    [0.2, 3, 10.4],
    [0.2, 5, 5.79],
    [0.2, 9, 1.96],
    [0.2, 21, 0.1],
    [0.1, 3, 2.8],
    [0.1, 5, 0.86],
    [0.1, 9, 0.09],
  ])('share %d, majority of %d: wrong in %d %% of tasks', (share, replicas, wrong) => {
    expect(percent(majorityWrong(replicas, { share }))).toBe(wrong);
  });

  test('drawing without putting back is the hypergeometric distribution', () => {
    const choose = (n: number, k: number): number => {
      let product = 1;
      for (let i = 0; i < k; i++) product = (product * (n - i)) / (i + 1);
      return k > n ? 0 : product;
    };
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 4 }),
        fc.integer({ min: 0, max: 40 }),
        fc.nat(),
        (half, extra, seed) => {
          const replicas = 2 * half + 1;
          const operators = replicas + extra;
          const colluders = seed % (operators + 1);
          let exact = 0;
          for (let i = half + 1; i <= replicas; i++)
            exact += choose(colluders, i) * choose(operators - colluders, replicas - i);
          exact /= choose(operators, replicas);
          expect(majorityWrong(replicas, { operators, colluders })).toBeCloseTo(exact, 10);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('odds add up, and agree with playing the quorum out', () => {
    const random = createSeededRandomness(3);
    const terms = { quorum: 2, most: 4 };
    const odds = quorumOdds(terms, { operators: 9, colluders: 3 });
    expect(odds.wrong + odds.right + odds.undecided).toBeCloseTo(1, 12);
    const seen = { wrong: 0, replicas: 0 };
    const rounds = 20_000;
    for (let round = 0; round < rounds; round++) {
      const left = Array.from({ length: 9 }, (_, i) => i);
      const answers: ReplicaAnswer[] = [];
      for (;;) {
        const decision = judgeReplicas(terms, answers, 0);
        if (decision.kind === 'accepted') seen.wrong += decision.key === 'lie' ? 1 : 0;
        if (decision.kind !== 'more') break;
        for (let i = 0; i < decision.replicas; i++) {
          const [one] = left.splice(random.below(left.length), 1) as [number];
          answers.push({
            replica: answers.length,
            provider: `p${one}`,
            key: one < 3 ? 'lie' : 'right',
          });
        }
      }
      seen.replicas += answers.length;
    }
    expect(seen.wrong / rounds).toBeCloseTo(odds.wrong, 1.9);
    expect(seen.replicas / rounds).toBeCloseTo(odds.replicas, 1.5);
  });

  test('an assured job of a small domain has the risk of that domain', () => {
    const regime = regimeFor({ kind: 'js', tier: 'C', level: 'assured', replicas: 3 });
    expect(wrongResultRisk(regime, { operators: 5, colluders: 1 })).toBe(0);
    expect(percent(wrongResultRisk(regime, { operators: 5, colluders: 2 }))).toBe(30);
    // Fewer operators than replicas: no quorum can be had, the risk is that of one provider.
    expect(wrongResultRisk(regime, { operators: 2, colluders: 1 })).toBe(0.5);
    const adaptive = regimeFor({ kind: 'js', tier: 'C', level: 'assured' });
    expect(percent(wrongResultRisk(adaptive, { share: 0.2 }))).toBe(19.52);
    expect(wrongResultRisk(adaptive, crowdOf(400))).toBeGreaterThan(0.19);
    for (const level of ['eco', 'standard', 'fast', 'assured'] as const)
      for (const kind of ['js', 'verifiable'] as const)
        expect(wrongResultRisk(regimeFor({ kind, tier: 'A', level }), { share: 0 })).toBe(0);
  });

  test.each([
    [{ quorum: 0, most: 3 }, { share: 0.2 }],
    [{ quorum: 2, most: 1 }, { share: 0.2 }],
    [{ quorum: 2, most: 3 }, { share: NaN }],
    [
      { quorum: 2, most: 3 },
      { operators: 2, colluders: 1 },
    ],
    [
      { quorum: 2, most: 3 },
      { operators: 5, colluders: 6 },
    ],
    [{ quorum: 2, most: 1e9 }, { share: 0.2 }],
  ])('refuses %j among %j', (terms, crowd) => {
    expect(() => quorumOdds(terms, crowd)).toThrow(
      expect.objectContaining({ code: 'MARKET_VERIFICATION_TERMS' }),
    );
  });
});

describe('replicas of one task', () => {
  const terms = { quorum: 2, most: 3 };
  const say = (...keys: string[]): ReplicaAnswer[] =>
    keys.map((key, replica) => ({ replica, provider: `p${replica}`, key }));

  test('two that agree are enough; two that differ call a third, who decides', () => {
    expect(judgeReplicas(terms, [], 0)).toEqual({ kind: 'more', replicas: 2 });
    expect(judgeReplicas(terms, say('a'), 1)).toEqual({ kind: 'wait' });
    expect(judgeReplicas(terms, say('a', 'a'), 0)).toMatchObject({ kind: 'accepted', odd: [] });
    expect(judgeReplicas(terms, say('a', 'b'), 0)).toEqual({ kind: 'more', replicas: 1 });
    const decided = judgeReplicas(terms, say('a', 'b', 'a'), 0);
    expect(decided).toMatchObject({ kind: 'accepted', key: 'a', odd: [{ provider: 'p1' }] });
    expect(judgeReplicas(terms, say('a', 'b', 'c'), 0).kind).toBe('undecided');
  });

  test('one provider is one voice, however often it answers', () => {
    const twice = [0, 1, 2].map((replica) => ({ replica, provider: 'p', key: 'lie' }));
    expect(judgeReplicas(terms, twice, 0)).toEqual({ kind: 'more', replicas: 1 });
  });

  test('whatever is answered, only a quorum of distinct providers accepts, and the order does not matter', () => {
    const answer = fc.record({
      replica: fc.nat(9),
      provider: fc.constantFrom('p', 'q', 'r', 's', 't'),
      key: fc.constantFrom('a', 'b', 'c'),
    });
    fc.assert(
      fc.property(fc.uniqueArray(answer, { selector: ({ provider }) => provider }), (answers) => {
        const decision = judgeReplicas({ quorum: 2, most: 3 }, answers.slice(0, 3), 0);
        if (decision.kind !== 'accepted') return;
        const providers = new Set(decision.agreeing.map(({ provider }) => provider));
        expect(providers.size).toBeGreaterThanOrEqual(2);
        expect(decision.agreeing.length + decision.odd.length).toBe(Math.min(3, answers.length));
        const reversed = judgeReplicas({ quorum: 2, most: 3 }, answers.slice(0, 3).toReversed(), 0);
        expect(reversed).toMatchObject({ kind: 'accepted', key: decision.key });
      }),
      { numRuns: 100 },
    );
  });

  test('what the guest caused is an answer too', () => {
    expect(answerKey('ok', 'bafy')).not.toBe(answerKey('guest-error', undefined));
  });
});

describe('trust', () => {
  const after = (right: number, from: Trust = NO_TRUST): Trust =>
    Array.from({ length: right }).reduce<Trust>((trust) => provedRight(trust), from);

  test('ten right results in a row, then one in CV is checked, at least one in twenty', () => {
    expect(isTrusted(after(9))).toBe(false);
    expect(checkChance(after(9))).toBe(1);
    expect(checkChance(after(10))).toBe(0.1);
    expect(checkChance(after(16))).toBe(1 / 16);
    expect(checkChance(after(500))).toBe(0.05);
  });

  test('a wrong result ends trust and doubles the way back; the third one ends replicated work', () => {
    const caught = provedWrong(after(30), 5);
    expect(caught).toEqual({ consecutiveValid: 0, wrong: 1, lastWrongUs: 5 });
    expect(isTrusted(after(19, caught))).toBe(false);
    expect(isTrusted(after(20, caught))).toBe(true);
    expect(isExcluded(provedWrong(provedWrong(caught, 6), 7))).toBe(true);
  });
});

describe('stake', () => {
  test('cheating loses when q·S exceeds the gain, exactly at the border', () => {
    const terms = { checkChance: 0.05, gain: 1_000n };
    expect(judgeStake({ ...terms, atStake: 20_000n })).toMatchObject({ isDeterred: false });
    const { stakeNeeded } = judgeStake({ ...terms, atStake: 0n });
    expect(stakeNeeded).toBe(20_001n);
    expect(judgeStake({ ...terms, atStake: 20_001n }).isDeterred).toBe(true);
    expect(judgeStake({ checkChance: 0, atStake: 10n ** 18n, gain: 1n })).toEqual({
      ...{ isDeterred: false, expectedLoss: 0n, stakeNeeded: undefined },
    });
  });

  test('the stake that it names is always the least one that deters', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1_000_000 }),
        fc.bigInt({ min: 1n, max: 10n ** 15n }),
        (ppm, gain) => {
          const q = ppm / 1_000_000;
          const least = judgeStake({ checkChance: q, atStake: 0n, gain }).stakeNeeded as bigint;
          expect(judgeStake({ checkChance: q, atStake: least, gain }).isDeterred).toBe(true);
          expect(judgeStake({ checkChance: q, atStake: least - 1n, gain }).isDeterred).toBe(false);
        },
      ),
      { numRuns: 60 },
    );
  });
});
