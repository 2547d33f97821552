import fc from 'fast-check';
import { contractAccount, keyedHashSigner, keyedHashVerifier, sha256 } from '#libs/crypto';
import {
  BLS_KEYS_MAX,
  type BlsSigner,
  type EdaMessage,
  createBlsSigner,
  encodeMessage,
  provePossession,
  signedBytes,
  signingDomain,
} from '#libs/eda';
import { type Bytes, bytesToHex, decodeWith, utf8 } from '#libs/kernel';
import {
  type ContractHarness,
  type ContractMethod,
  createContractHarness,
  eraParametersOf,
  storedValidators,
} from '#libs/ledger';
import { genesisSettings, systemContracts } from '../system-contracts.ts';
import { tokenAmount, tokenFees, tokenKeys } from '../token/token.ts';
import {
  STAKE_CONTRACT,
  stakeKeys,
  stakeMethods,
  statementId,
  statementInParts,
  unbondingRecord,
  validatorRecord,
} from './stake.ts';

const SECRET = utf8('secret of the simulated keys');
const people = ['ann', 'bob', 'cid', 'dan', 'eve'].map((name) =>
  keyedHashSigner(SECRET, utf8(name)),
);
const [ann, bob, cid] = people as [(typeof people)[0], (typeof people)[0], (typeof people)[0]];
const ERA_US = 4_000_000;
const UNIT = 100n;
const FUNDS = 10_000n;
const UNBONDING_US = 20_000_000;
const TIME_US = 1_700_000_000_000_000;

function createStage(): ContractHarness {
  return createContractHarness({
    contracts: systemContracts,
    fees: tokenFees,
    verifySignature: keyedHashVerifier(SECRET),
    timeUs: TIME_US,
    parameters: {
      allocations: people.map(({ account }) => ({ account, amount: FUNDS })),
      settings: [
        ...genesisSettings.filter(({ name }) => name !== 'stake.unbondingUs'),
        { name: 'stake.unbondingUs', value: BigInt(UNBONDING_US) },
      ],
      validators: {
        bonds: [ann, bob].map(({ publicKey }) => ({ publicKey, stake: 3n * UNIT })),
        stakeUnit: UNIT,
      },
    },
    eraUs: ERA_US,
  });
}

function must<A, R>(stage: ContractHarness, by: string, method: ContractMethod<A, R>, args: A): R {
  const outcome = stage.call(by, STAKE_CONTRACT, method, args);
  if (!outcome.ok) throw new Error(`${outcome.code}: ${outcome.message}`);
  return outcome.value;
}
function refusal<A, R>(stage: ContractHarness, by: string, method: ContractMethod<A, R>, args: A) {
  const outcome = stage.call(by, STAKE_CONTRACT, method, args);
  return outcome.ok ? 'nothing refused' : outcome.code;
}
const balanceOf = (stage: ContractHarness, account: string): bigint => {
  const bytes = stage.get('token', tokenKeys.balance(account));
  return bytes ? decodeWith(tokenAmount, bytes) : 0n;
};
const setOf = (stage: ContractHarness, era: number) => {
  const bytes = stage.get(STAKE_CONTRACT, stakeKeys.set(era));
  return bytes && decodeWith(storedValidators, bytes);
};

/** A signed vote of `by`; two with different hashes exclude each other. */
function voteOf(stage: ContractHarness, by: (typeof people)[0], hash: string, chain = stage.chain) {
  const message = { chain, era: 1, slot: 9, view: 0, hash: hash.repeat(32) };
  const signature = by.sign(signingDomain('prepare'), signedBytes('prepare', message));
  return encodeMessage({ kind: 'prepare', from: 0, message, signature } as EdaMessage);
}

test('a bond joins the set two eras later, an unbond leaves it two eras later and pays after its delay', () => {
  const stage = createStage();
  const { publicKey } = cid;
  expect(refusal(stage, ann.account, stakeMethods.bond, { publicKey, amount: UNIT })).toBe(
    'STAKE_NOT_OWNER',
  );
  expect(refusal(stage, cid.account, stakeMethods.bond, { publicKey, amount: UNIT - 1n })).toBe(
    'STAKE_TOO_LOW',
  );
  must(stage, cid.account, stakeMethods.bond, { publicKey, amount: 2n * UNIT + 5n });
  const joins = stage.era + 2;
  expect(setOf(stage, joins - 1)).toBeUndefined();
  const expected = [ann, bob]
    .map((by) => ({ publicKey: by.publicKey, weight: 3 }))
    .concat({ publicKey, weight: 2 })
    .toSorted((a, b) => (a.publicKey < b.publicKey ? -1 : 1));
  expect(setOf(stage, joins)).toEqual(expected);

  stage.advance(ERA_US);
  must(stage, cid.account, stakeMethods.unbond, { publicKey, amount: 2n * UNIT + 5n });
  expect(setOf(stage, joins)).toEqual(expected);
  expect(setOf(stage, joins + 1)).toHaveLength(2);
  const refused = () => refusal(stage, cid.account, stakeMethods.withdraw, { publicKey });
  for (let i = 0; i < 4; i++) {
    stage.advance(UNBONDING_US / 4 - (i === 3 ? 1 : 0));
    expect(refused()).toBe('STAKE_NOTHING_RELEASED');
  }
  stage.advance(1);
  expect(must(stage, cid.account, stakeMethods.withdraw, { publicKey }).amount).toBe(205n);
  expect(balanceOf(stage, cid.account)).toBe(FUNDS);
});

test('after idleness eras are named by the count of consensus, and money stays liable until it is out of the set', () => {
  const stage = createStage();
  const { publicKey } = cid;
  const begin = stage.era;
  stage.advance(7 * ERA_US);
  // One block crosses one border, however many the clock has passed.
  must(stage, cid.account, stakeMethods.bond, { publicKey, amount: 2n * UNIT });
  expect(stage.era).toBe(begin + 1);
  expect(setOf(stage, begin + 3)).toHaveLength(3);
  expect(setOf(stage, begin + 2)).toBeUndefined();
  must(stage, cid.account, stakeMethods.unbond, { publicKey, amount: 2n * UNIT });
  const withdraw = () => refusal(stage, cid.account, stakeMethods.withdraw, { publicKey });
  // The delay is over, but in this era and the next it still votes.
  for (const era of [begin + 2, begin + 3]) {
    stage.advance(UNBONDING_US);
    expect(withdraw()).toBe(era === begin + 3 ? 'nothing refused' : 'STAKE_NOTHING_RELEASED');
    expect(stage.era).toBe(era);
  }
});

test('a BLS key with its proof joins the set two eras later; attestations by it can be slashed', () => {
  const stage = createStage();
  const [own, other] = [3, 4].map((fill) => createBlsSigner(new Uint8Array(32).fill(fill)));
  if (!own || !other) throw new Error('two keys');
  const { publicKey } = ann;
  const claim = { publicKey, bls: own.publicKey, possession: provePossession(own) };
  const by = (account: string, args: typeof claim) =>
    refusal(stage, account, stakeMethods.registerBls, args);
  expect(by(bob.account, claim)).toBe('STAKE_NOT_OWNER');
  expect(by(cid.account, { ...claim, publicKey: cid.publicKey })).toBe('STAKE_UNKNOWN');
  const borrowed = { ...claim, possession: provePossession(other) };
  expect(by(ann.account, borrowed)).toBe('STAKE_BLS_INVALID');
  must(stage, ann.account, stakeMethods.registerBls, claim);
  expect(by(ann.account, claim)).toBe('STAKE_BLS_INVALID');
  const set = setOf(stage, stage.era + 2);
  expect(set?.map(({ bls }) => bls).toSorted()).toEqual([own.publicKey, undefined]);

  const attest = (signer: BlsSigner, hash: string) => {
    const message = { chain: stage.chain, era: 1, slot: 9, hash: hash.repeat(32) };
    const signature = signer.sign(signingDomain('attest'), signedBytes('attest', message));
    return encodeMessage({ kind: 'attest', from: 0, message, signature } as EdaMessage);
  };
  const report = (second: Bytes) =>
    stage.call(bob.account, STAKE_CONTRACT, stakeMethods.report, {
      publicKey,
      first: attest(own, 'aa'),
      second,
    }).ok;
  expect(report(attest(other, 'bb'))).toBe(false);
  expect(report(attest(own, 'bb'))).toBe(true);
  expect(setOf(stage, stage.era + 2)?.map((one) => one.publicKey)).toEqual([bob.publicKey]);
});

test('another BLS key takes the place of the one before two eras later, and what was signed by the old one still costs', () => {
  const stage = createStage();
  const keys = Array.from({ length: BLS_KEYS_MAX + 1 }, (_, i) =>
    createBlsSigner(new Uint8Array(32).fill(40 + i)),
  );
  const { publicKey } = ann;
  const register = (key: BlsSigner) =>
    refusal(stage, ann.account, stakeMethods.registerBls, {
      publicKey,
      bls: key.publicKey,
      possession: provePossession(key),
    });
  const keyIn = (era: number) => setOf(stage, era)?.find((one) => one.publicKey === publicKey)?.bls;
  const [first, second] = keys as [BlsSigner, BlsSigner];
  expect(register(first)).toBe('nothing refused');
  const era = stage.era + 2;
  stage.advance(ERA_US);
  expect(register(second)).toBe('nothing refused');
  expect([keyIn(era), keyIn(era + 1)]).toEqual([first.publicKey, second.publicKey]);
  // Never back to an old one, and not without end.
  expect(register(first)).toBe('STAKE_BLS_INVALID');
  for (const key of keys.slice(2, BLS_KEYS_MAX)) expect(register(key)).toBe('nothing refused');
  expect(register(keys[BLS_KEYS_MAX] as BlsSigner)).toBe('STAKE_BLS_INVALID');
  const attest = (hash: string) => {
    const message = { chain: stage.chain, era: 1, slot: 9, hash: hash.repeat(32) };
    const signature = first.sign(signingDomain('attest'), signedBytes('attest', message));
    return encodeMessage({ kind: 'attest', from: 0, message, signature } as EdaMessage);
  };
  const report = { publicKey, first: attest('aa'), second: attest('bb') };
  expect(refusal(stage, bob.account, stakeMethods.report, report)).toBe('nothing refused');
});

test('values that more than two thirds of the weight name are in force two eras later', () => {
  const stage = createStage();
  const wanted = { epsilonUs: 300, samplingPerMille: 250 };
  const vote = (by: typeof ann, values = wanted) =>
    must(stage, by.account, stakeMethods.voteParameters, { publicKey: by.publicKey, ...values });
  const refused = (by: typeof ann, values = wanted, key = by.publicKey) =>
    refusal(stage, by.account, stakeMethods.voteParameters, { publicKey: key, ...values });
  const inForce = (era: number) =>
    eraParametersOf({ scan: (contract, prefix) => stage.scan(contract, prefix) }, era);
  expect(refused(ann, wanted, bob.publicKey)).toBe('STAKE_NOT_OWNER');
  expect(refused(cid)).toBe('STAKE_UNKNOWN');
  for (const values of [
    { epsilonUs: 0 },
    { epsilonUs: 1_000_001 },
    { samplingPerMille: 0 },
    { samplingPerMille: 1_001 },
  ])
    expect(refused(ann, { ...wanted, ...values })).toBe('STAKE_PARAMETERS_INVALID');

  // Two of three equal shares are not more than two thirds.
  must(stage, cid.account, stakeMethods.bond, { publicKey: cid.publicKey, amount: 3n * UNIT });
  expect(vote(ann)).toEqual({ agreeing: 3, total: 9 });
  expect(vote(bob)).toEqual({ agreeing: 6, total: 9 });
  expect(vote(cid, { ...wanted, epsilonUs: 301 })).toEqual({ agreeing: 3, total: 9 });
  stage.advance(ERA_US);
  const era = stage.era + 3;
  expect(vote(cid)).toEqual({ agreeing: 9, total: 9, era });
  expect([era - 1, era, era + 5].map(inForce)).toEqual([{}, wanted, wanted]);

  // What a slashed validator said counts no more, and who leaves takes its vote along.
  const other = { epsilonUs: 500, samplingPerMille: 1_000 };
  vote(ann, other);
  const [first, second] = [voteOf(stage, ann, 'aa'), voteOf(stage, ann, 'bb')];
  must(stage, bob.account, stakeMethods.report, { publicKey: ann.publicKey, first, second });
  expect(refused(ann, other)).toBe('STAKE_SLASHED');
  expect(vote(bob, other)).toEqual({ agreeing: 3, total: 6 });
  must(stage, bob.account, stakeMethods.unbond, { publicKey: bob.publicKey, amount: 3n * UNIT });
  expect(stage.get(STAKE_CONTRACT, stakeKeys.vote(bob.publicKey))).toBeUndefined();
  stage.advance(ERA_US);
  expect(vote(cid, other)).toEqual({ agreeing: 3, total: 3, era: era + 1 });
  expect([era, era + 1].map(inForce)).toEqual([wanted, other]);
});

test('the last validator cannot leave', () => {
  const stage = createStage();
  must(stage, ann.account, stakeMethods.unbond, { publicKey: ann.publicKey, amount: 3n * UNIT });
  const last = { publicKey: bob.publicKey, amount: 3n * UNIT };
  expect(refusal(stage, bob.account, stakeMethods.unbond, last)).toBe('STAKE_LAST_VALIDATOR');
});

test('two votes of one view cost half of the bond, of what is unbonding too, and the place in the set', () => {
  const stage = createStage();
  const { publicKey } = ann;
  must(stage, ann.account, stakeMethods.unbond, { publicKey, amount: UNIT });
  const first = voteOf(stage, ann, 'aa');
  const second = voteOf(stage, ann, 'bb');
  const report = { publicKey, first, second };
  expect(must(stage, cid.account, stakeMethods.report, report)).toEqual({
    slashed: 150n,
    reward: 15n,
  });
  expect(balanceOf(stage, cid.account)).toBe(FUNDS + 15n);
  expect(setOf(stage, stage.era + 2)).toEqual([{ publicKey: bob.publicKey, weight: 3 }]);
  expect(refusal(stage, cid.account, stakeMethods.report, report)).toBe('STAKE_SLASHED');
  const more = { publicKey, amount: UNIT };
  expect(refusal(stage, ann.account, stakeMethods.bond, more)).toBe('STAKE_SLASHED');
  // What is left comes back, two borders later at the soonest.
  must(stage, ann.account, stakeMethods.unbond, { publicKey, amount: UNIT });
  stage.advance(UNBONDING_US);
  expect(refusal(stage, ann.account, stakeMethods.withdraw, { publicKey })).toBe(
    'STAKE_NOTHING_RELEASED',
  );
  stage.advance(ERA_US);
  expect(must(stage, ann.account, stakeMethods.withdraw, { publicKey }).amount).toBe(150n);
});

test('a tick of thousands of blocks is handed in by parts, and the report takes them out again', () => {
  const stage = createStage();
  const { publicKey } = ann;
  const tick = (salt: number): Bytes => {
    const axis = TIME_US;
    const entries = Array.from({ length: 4_096 }, (_, i) => ({
      era: 418_000,
      author: i % 64,
      seq: 1_000_000 + i,
      hash: bytesToHex(sha256(utf8(`${salt} ${i}`))),
      x0: axis - 3_000_000,
      x: axis - 2_000_000,
    }));
    const message = { chain: stage.chain, era: 418_000, k: 7, axis, entries };
    const signature = ann.sign(signingDomain('tick'), signedBytes('tick', message));
    return encodeMessage({ kind: 'tick', from: 0, message, signature } as EdaMessage);
  };
  const statements = [tick(1), tick(2)] as const;
  const [first, second] = statements.map(statementId) as [string, string];
  const report = { publicKey, first, second };
  const submitAll = (by: string, of: readonly Bytes[]) => {
    for (const statement of of)
      for (const [part, bytes] of statementInParts(statement).entries())
        must(stage, by, stakeMethods.submitPart, {
          statement: statementId(statement),
          part,
          bytes,
        });
  };
  submitAll(cid.account, [statements[0]]);
  expect(refusal(stage, cid.account, stakeMethods.reportParts, report)).toBe('STAKE_PARTS_MISSING');
  submitAll(cid.account, [statements[1]]);
  // Parts of others do not count, and cannot be taken.
  expect(refusal(stage, bob.account, stakeMethods.reportParts, report)).toBe('STAKE_PARTS_MISSING');
  expect(must(stage, cid.account, stakeMethods.reportParts, report).slashed).toBe(150n);
  expect(stage.scan(STAKE_CONTRACT, utf8('part/'))).toEqual([]);
  submitAll(bob.account, statements);
  const extra = { statement: first, part: 7, bytes: utf8('more') };
  for (let i = 0; i < 16; i++)
    stage.call(bob.account, STAKE_CONTRACT, stakeMethods.submitPart, {
      ...extra,
      statement: 'ab'.repeat(31) + i.toString(16).padStart(2, '0'),
    });
  expect(refusal(stage, bob.account, stakeMethods.submitPart, extra)).toBe('STAKE_PARTS_FULL');
  expect(must(stage, bob.account, stakeMethods.dropParts, {}).dropped).toBe(16);
  expect(stage.scan(STAKE_CONTRACT, utf8('part/'))).toEqual([]);
});

test('what is no contradiction of this validator on this chain proves nothing', () => {
  const stage = createStage();
  const { publicKey } = ann;
  const first = voteOf(stage, ann, 'aa');
  const useless = [
    first,
    voteOf(stage, bob, 'bb'),
    voteOf(stage, ann, 'bb', 'ee'.repeat(32)),
    utf8('rubbish'),
    encodeMessage({ kind: 'fetch', blocks: [], bodies: [], finalsFrom: 1 }),
  ];
  for (const second of useless)
    expect(refusal(stage, cid.account, stakeMethods.report, { publicKey, first, second })).toBe(
      'STAKE_PROOF_INVALID',
    );
});

test('whatever is done, in any order: money adds up, and a set is never changed nearer than two eras', () => {
  const person = fc.nat(people.length - 1);
  const amount = fc.bigInt({ min: 0n, max: 500n });
  const step = fc.oneof(
    fc.record({ kind: fc.constant('bond' as const), by: person, amount }),
    fc.record({ kind: fc.constant('unbond' as const), by: person, amount }),
    fc.record({ kind: fc.constant('withdraw' as const), by: person }),
    fc.record({ kind: fc.constant('report' as const), by: person, of: person }),
    fc.record({ kind: fc.constant('advance' as const), us: fc.nat(10_000_000) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const stage = createStage();
      const begin = people.reduce((sum, { account }) => sum + balanceOf(stage, account), 0n) + 600n;
      let frozen = 0n;
      for (const taken of steps) {
        const { era } = stage;
        const fixed = [0, 1].map((ahead) => setOf(stage, era + ahead));
        if (taken.kind === 'advance') {
          stage.advance(taken.us);
          continue;
        }
        const by = people[taken.by] as (typeof people)[0];
        const { publicKey } = by;
        if (taken.kind === 'report') {
          const accused = people[taken.of] as (typeof people)[0];
          const report = {
            publicKey: accused.publicKey,
            first: voteOf(stage, accused, 'aa'),
            second: voteOf(stage, accused, 'bb'),
          };
          const outcome = stage.call(by.account, STAKE_CONTRACT, stakeMethods.report, report);
          if (outcome.ok) frozen += outcome.value.slashed - outcome.value.reward;
        } else if (taken.kind === 'withdraw')
          stage.call(by.account, STAKE_CONTRACT, stakeMethods.withdraw, { publicKey });
        else {
          const args = { publicKey, amount: taken.amount };
          if (taken.kind === 'bond')
            stage.call(by.account, STAKE_CONTRACT, stakeMethods.bond, args);
          else stage.call(by.account, STAKE_CONTRACT, stakeMethods.unbond, args);
        }
        expect([0, 1].map((ahead) => setOf(stage, era + ahead))).toEqual(fixed);
      }
      let bonded = 0n;
      const weights = new Map<string, number>();
      for (const [, value] of stage.scan(STAKE_CONTRACT, stakeKeys.validators)) {
        const validator = decodeWith(validatorRecord, value);
        bonded += validator.bonded;
        const weight = Number(validator.bonded / UNIT);
        if (validator.faults === 0 && weight > 0) weights.set(validator.publicKey, weight);
      }
      for (const [, value] of stage.scan(STAKE_CONTRACT, utf8('unbonding/')))
        bonded += decodeWith(unbondingRecord, value).amount;
      expect(balanceOf(stage, contractAccount(STAKE_CONTRACT))).toBe(bonded + frozen);
      const held = people.reduce((sum, { account }) => sum + balanceOf(stage, account), 0n);
      expect(held + bonded + frozen).toBe(begin);
      const sets = stage.scan(STAKE_CONTRACT, utf8('set/'));
      const last = sets.at(-1)?.[1];
      const inForce = last ? decodeWith(storedValidators, last) : undefined;
      if (inForce)
        expect(new Map(inForce.map((entry) => [entry.publicKey, entry.weight]))).toEqual(weights);
    }),
    { numRuns: 60 },
  );
});
