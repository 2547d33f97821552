/**
 * Contract `stake`: money bonded by validators, the sets of validators of eras to come, and what a
 * proven contradiction costs.
 *
 * A change of stake made in an era changes the set two eras later, never nearer: sets in force are fixed
 * by a prefix of the chain that every validator has. Unbonded money stays liable until its delay is over.
 *
 * State (bonds.ts): `validator/<public key, 33 bytes>` → `validatorRecord`;
 * `unbonding/<public key><time, 8 bytes>` → `unbondingRecord`; `set/<era, 8 bytes>` → validators by key;
 * `vote/<public key>` → `parameterVote`, `parameters/<era, 8 bytes>` → what was decided (parameter-votes.ts);
 * `part/<account><statement><number>` → part of a long statement (long-evidence.ts);
 * `consensus` → what the genesis says of weights and eras.
 */
import { accountOf } from '#libs/crypto';
import {
  BLS_KEYS_MAX,
  BLS_PUBLIC_KEY_BYTES,
  BLS_SIGNATURE_BYTES,
  type SignedKind,
  type SignedMessages,
  type Statement,
  decodeMessage,
  isContradiction,
  signedBytes,
  signingDomain,
  verifyBls,
  verifyPossession,
} from '#libs/eda';
import {
  type Bytes,
  byteString,
  hash32,
  hexBytes,
  isSeeleError,
  record,
  u64,
  uint,
} from '#libs/kernel';
import {
  type Context,
  FUEL,
  type GenesisParameters,
  type SystemContract,
  STAKE_CONTRACT,
  defineMethod,
} from '#libs/ledger';
import {
  callBuilders,
  defineEvent,
  defineSettings,
  emit,
  readValue,
  writeValue,
} from '../contract-kit.ts';
import { demand } from '../errors.ts';
import { collectFrom, payTo } from '../token/token.ts';
import {
  UNBONDINGS_MAX,
  type UnbondingRecord,
  type ValidatorRecord,
  consensusOf,
  consensusRecord,
  nextOpenEra,
  readValidator,
  stakeKeys,
  unbondingRecord,
  writeValidator,
} from './bonds.ts';
import { longEvidenceMethods, takeStatement } from './long-evidence.ts';
import { writeNextSet } from './next-set.ts';
import { parameterMethods, parametersEvent } from './parameter-votes.ts';

export { STAKE_CONTRACT } from '#libs/ledger';
export {
  type UnbondingRecord,
  type ValidatorRecord,
  parameterVote,
  stakeKeys,
  unbondingRecord,
  validatorRecord,
} from './bonds.ts';
export { parametersEvent } from './parameter-votes.ts';
export { statementId, statementInParts } from './long-evidence.ts';

/** Longest statement that `report` takes; longer ones come in parts. */
export const STATEMENT_MAX_BYTES = 48 * 1024;
const PER_MILLE = 1_000n;
/** A check of a BLS signature: some 0.9 ms. */
const BLS_FUEL = 3n * FUEL.verify;

const publicKey = hexBytes(33);

export const stakeSettings = defineSettings(STAKE_CONTRACT, {
  /** From asking for bonded money until it can be taken; longer than proofs and light clients need. */
  unbondingUs: 14n * 86_400_000_000n,
  /** Share of the bond, in thousandths, that a proven contradiction costs. */
  slashedPerMille: 500n,
  /** Share of what is lost, in thousandths, that whoever proved it gets; the rest is out of circulation. */
  rewardPerMille: 100n,
});

const amountEvent = record({ publicKey, amount: u64 });
export const stakeEvents = {
  bonded: defineEvent(STAKE_CONTRACT, 'bonded', amountEvent),
  unbonding: defineEvent(STAKE_CONTRACT, 'unbonding', amountEvent),
  withdrawn: defineEvent(STAKE_CONTRACT, 'withdrawn', amountEvent),
  slashed: defineEvent(STAKE_CONTRACT, 'slashed', amountEvent),
  parameters: parametersEvent,
};

interface Report {
  readonly publicKey: string;
  readonly first: Bytes;
  readonly second: Bytes;
}

function statementOf(context: Context, bytes: Bytes): Statement {
  try {
    const message = decodeMessage(bytes);
    if ('message' in message) return message as Statement;
  } catch (error) {
    if (!isSeeleError(error)) throw error;
  }
  return context.revert('STAKE_PROOF_INVALID', 'not a signed statement of consensus');
}

/** By its key; attestations also by a BLS key it has or had. */
function isSignedBy(
  context: Context,
  { key, bls }: { readonly key: string; readonly bls: readonly string[] },
  said: { readonly kind: SignedKind; readonly bytes: Bytes; readonly signature: Bytes },
): boolean {
  const { kind, bytes, signature } = said;
  if (kind !== 'attest' || signature.length !== BLS_SIGNATURE_BYTES)
    return context.verify(key, signingDomain(kind), bytes, signature);
  return bls.some((one) => {
    context.charge(BLS_FUEL);
    return verifyBls([one], signingDomain(kind), bytes, signature);
  });
}

/** Two statements that exclude each other, both signed by the validator, on this chain. */
function checkProof(
  context: Context,
  { publicKey: key, first, second }: Report,
  bls: readonly string[],
): void {
  const statements = [statementOf(context, first), statementOf(context, second)] as const;
  for (const { kind, message, signature } of statements) {
    const isHere = message.chain === context.block.chain;
    const bytes = signedBytes(kind, message as SignedMessages[SignedKind]);
    demand(
      context,
      isHere && isSignedBy(context, { key, bls }, { kind, bytes, signature }),
      'STAKE_PROOF_INVALID',
      `a statement is not one of ${key} on this chain`,
    );
  }
  demand(
    context,
    isContradiction(...statements),
    'STAKE_PROOF_INVALID',
    'the statements do not exclude each other',
  );
}

/** Takes the share of what still is unbonding. */
function slashUnbonding(context: Context, key: string, perMille: bigint): bigint {
  let lost = 0n;
  for (const [stored] of context.storage.scan(stakeKeys.unbondings(key), {
    limit: UNBONDINGS_MAX,
  })) {
    const entry = readValue(context.storage, stored, unbondingRecord) as UnbondingRecord;
    const part = (entry.amount * perMille) / PER_MILLE;
    lost += part;
    writeValue(context.storage, stored, unbondingRecord, { ...entry, amount: entry.amount - part });
  }
  return lost;
}

const blsKeysOf = ({ bls, formerBls = [] }: ValidatorRecord): readonly string[] =>
  bls === undefined ? [] : [bls, ...formerBls];

/** Takes what a proven contradiction costs. */
function punish(context: Context, key: string, read: () => Report) {
  const before = readValidator(context, key);
  if (!before) return context.revert('STAKE_UNKNOWN', `${key} has nothing bonded`);
  demand(context, before.faults === 0, 'STAKE_SLASHED', `${key} has been slashed already`);
  checkProof(context, read(), blsKeysOf(before));
  const { slashedPerMille, rewardPerMille } = stakeSettings.read(context.storage);
  const lost = (before.bonded * slashedPerMille) / PER_MILLE;
  const slashed = lost + slashUnbonding(context, key, slashedPerMille);
  writeValidator(context, { ...before, bonded: before.bonded - lost, faults: 1 });
  writeNextSet(context);
  const reward = (slashed * rewardPerMille) / PER_MILLE;
  payTo(context, context.caller, reward);
  emit(context, stakeEvents.slashed, { publicKey: key, amount: slashed });
  return { slashed, reward };
}

const methods = {
  /** The account of a validator's key: bonds money; a first bond of one unit or more makes a validator. */
  bond: defineMethod({
    name: 'bond',
    args: record({ publicKey, amount: u64 }),
    returns: record({ bonded: u64 }),
    run(context, { publicKey: key, amount }) {
      const { stakeUnit } = consensusOf(context);
      demand(
        context,
        context.caller === accountOf(key),
        'STAKE_NOT_OWNER',
        `${context.caller} is not the account of ${key}`,
      );
      const before = readValidator(context, key) ?? { publicKey: key, bonded: 0n, faults: 0 };
      demand(context, before.faults === 0, 'STAKE_SLASHED', `${key} contradicted itself`);
      const bonded = before.bonded + amount;
      demand(
        context,
        amount > 0n && bonded >= stakeUnit,
        'STAKE_TOO_LOW',
        `${bonded} bonded, at least ${stakeUnit} wanted`,
      );
      collectFrom(context, context.caller, amount);
      writeValidator(context, { ...before, bonded });
      writeNextSet(context);
      emit(context, stakeEvents.bonded, { publicKey: key, amount });
      return { bonded };
    },
  }),
  /**
   * The account of a validator's key: names its BLS key, with the proof that it holds the secret. Another
   * one later takes its place two eras on, like any change of a set; never one it had before.
   */
  registerBls: defineMethod({
    name: 'registerBls',
    args: record({
      publicKey,
      bls: hexBytes(BLS_PUBLIC_KEY_BYTES),
      possession: byteString(BLS_SIGNATURE_BYTES),
    }),
    returns: record({}),
    run(context, { publicKey: key, bls, possession }) {
      demand(
        context,
        context.caller === accountOf(key),
        'STAKE_NOT_OWNER',
        `${context.caller} is not the account of ${key}`,
      );
      const before = readValidator(context, key);
      if (!before) return context.revert('STAKE_UNKNOWN', `${key} has nothing bonded`);
      demand(context, before.faults === 0, 'STAKE_SLASHED', `${key} contradicted itself`);
      const had = blsKeysOf(before);
      demand(
        context,
        had.length < BLS_KEYS_MAX && !had.includes(bls),
        'STAKE_BLS_INVALID',
        `${key} has or had this key, or has had ${BLS_KEYS_MAX}`,
      );
      context.charge(BLS_FUEL);
      demand(
        context,
        verifyPossession(bls, possession),
        'STAKE_BLS_INVALID',
        'the proof is not of this key',
      );
      writeValidator(context, { ...before, bls, ...(had.length > 0 && { formerBls: had }) });
      writeNextSet(context);
      return {};
    },
  }),
  /** The account of a validator's key: asks for bonded money; it stays liable until it is released. */
  unbond: defineMethod({
    name: 'unbond',
    args: record({ publicKey, amount: u64 }),
    returns: record({ releasedAtUs: uint() }),
    run(context, { publicKey: key, amount }) {
      demand(
        context,
        context.caller === accountOf(key),
        'STAKE_NOT_OWNER',
        `${context.caller} is not the account of ${key}`,
      );
      const before = readValidator(context, key);
      if (!before || amount === 0n || amount > before.bonded)
        return context.revert('STAKE_TOO_LOW', `${before?.bonded ?? 0n} bonded, ${amount} asked`);
      const waiting = context.storage.scan(stakeKeys.unbondings(key), { limit: UNBONDINGS_MAX });
      demand(
        context,
        waiting.length < UNBONDINGS_MAX,
        'STAKE_UNBONDINGS_FULL',
        `${UNBONDINGS_MAX} amounts are unbonding already`,
      );
      const { unbondingUs } = stakeSettings.read(context.storage);
      const releasedAtUs = context.block.timeUs + Number(unbondingUs);
      const at = stakeKeys.unbonding(key, releasedAtUs);
      const same = readValue(context.storage, at, unbondingRecord)?.amount ?? 0n;
      const leavesInEra = nextOpenEra(context);
      const entry = { publicKey: key, amount: same + amount, releasedAtUs, leavesInEra };
      writeValue(context.storage, at, unbondingRecord, entry);
      writeValidator(context, { ...before, bonded: before.bonded - amount });
      if (before.faults === 0) writeNextSet(context);
      emit(context, stakeEvents.unbonding, { publicKey: key, amount });
      return { releasedAtUs };
    },
  }),
  /** The account of a validator's key: takes what has been released. */
  withdraw: defineMethod({
    name: 'withdraw',
    args: record({ publicKey }),
    returns: record({ amount: u64 }),
    run(context, { publicKey: key }) {
      const owner = accountOf(key);
      demand(
        context,
        context.caller === owner,
        'STAKE_NOT_OWNER',
        `${context.caller} is not the account of ${key}`,
      );
      let amount = 0n;
      for (const [stored] of context.storage.scan(stakeKeys.unbondings(key), {
        limit: UNBONDINGS_MAX,
      })) {
        const entry = readValue(context.storage, stored, unbondingRecord) as UnbondingRecord;
        if (entry.releasedAtUs > context.block.timeUs || entry.leavesInEra > context.block.era)
          break;
        amount += entry.amount;
        context.storage.delete(stored);
      }
      demand(context, amount > 0n, 'STAKE_NOTHING_RELEASED', 'nothing has been released yet');
      payTo(context, owner, amount);
      emit(context, stakeEvents.withdrawn, { publicKey: key, amount });
      return { amount };
    },
  }),
  /** Anyone: proves that a validator signed two statements that exclude each other. Once per validator. */
  report: defineMethod({
    name: 'report',
    args: record({
      publicKey,
      first: byteString(STATEMENT_MAX_BYTES),
      second: byteString(STATEMENT_MAX_BYTES),
    }),
    returns: record({ slashed: u64, reward: u64 }),
    run: (context, report) => punish(context, report.publicKey, () => report),
  }),
  /** The same with statements that the caller has handed in by `submitPart`, named by their SHA-256. */
  reportParts: defineMethod({
    name: 'reportParts',
    args: record({ publicKey, first: hash32, second: hash32 }),
    returns: record({ slashed: u64, reward: u64 }),
    run: (context, { publicKey: key, first, second }) =>
      punish(context, key, () => ({
        publicKey: key,
        first: takeStatement(context, first),
        second: takeStatement(context, second),
      })),
  }),
  ...longEvidenceMethods,
  ...parameterMethods,
};
function genesis(context: Context, parameters: GenesisParameters): void {
  stakeSettings.write(context, parameters);
  const { validators } = parameters;
  if (!validators) return;
  const { stakeUnit } = validators;
  writeValue(context.storage, stakeKeys.consensus, consensusRecord, { stakeUnit });
  for (const { publicKey: key, stake, bls } of validators.bonds) {
    const validator = { publicKey: key, bonded: stake, faults: 0 };
    writeValidator(context, { ...validator, ...(bls !== undefined && { bls }) });
  }
}

export const stakeMethods = methods;
export const stakeCalls = callBuilders(STAKE_CONTRACT, methods);
export const stakeContract: SystemContract = { name: STAKE_CONTRACT, methods, genesis };
