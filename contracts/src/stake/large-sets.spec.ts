/** Sets above 64 from genesis and by contract `stake`, and what a stranger can check of them. */
import { sha256Hex, verifySignature } from '#libs/crypto';
import {
  type Validator,
  aggregateVotes,
  deriveBlsSigner,
  provePossession,
  signedBytes,
  signingDomain,
} from '#libs/eda';
import { createSeededRandomness, equalBytes, utf8 } from '#libs/kernel';
import {
  type EdaCertificate,
  createChain,
  decodeFinalityProof,
  decodeStateProof,
  encodeFinalityProof,
  encodeStateProof,
  findFinalityProof,
  genesisValidators,
  signTransaction,
  verifyFinalityProof,
  verifyStateProof,
} from '#libs/ledger';
import { createSimulatedDisk } from '#libs/store';
import {
  type SigningValidators,
  VALIDATOR_STAKE,
  createSigningValidators,
} from '../../../test/support/signing-validators.ts';
import { type ContractCall, stakeCalls, systemContracts, tokenFees, tokenKeys } from '../index.ts';
import { chooseValidators } from './next-set.ts';

const START_US = 1_800_000_000_000_000;
const ERA_US = 8_000_000;

describe('who validates', () => {
  const some = (count: number, weight: number, name: string, bls: boolean): Validator[] =>
    Array.from({ length: count }, (_, i) => ({
      publicKey: `01${name}${i.toString(16).padStart(62, '0')}`,
      weight,
      ...(bls && { bls: `${name}${i.toString(16).padStart(94, '0')}` }),
    }));

  it('up to 64: the heaviest, with a BLS key or without', () => {
    const all = [...some(60, 2, 'aa', false), ...some(10, 1, 'bb', true)];
    expect(chooseValidators(all)).toHaveLength(64);
    expect(chooseValidators(some(64, 1, 'aa', true))).toHaveLength(64);
  });

  it('above 64: all with a BLS key, at most 256, when they weigh more than the 64 heaviest', () => {
    expect(chooseValidators(some(65, 1, 'aa', true))).toHaveLength(65);
    expect(chooseValidators(some(300, 1, 'aa', true))).toHaveLength(256);
    const keyless = [...some(64, 10, 'aa', false), ...some(100, 1, 'bb', true)];
    expect(chooseValidators(keyless).every(({ bls }) => bls === undefined)).toBe(true);
    const chosen = chooseValidators([...some(1, 10, 'aa', false), ...some(100, 1, 'bb', true)]);
    expect(chosen).toHaveLength(100);
  });
});

describe('a chain of 65 validators', () => {
  const all: SigningValidators = createSigningValidators(66, { eraUs: ERA_US });
  const ordering = { ...all.ordering, validators: all.ordering.validators.slice(0, 65) };
  const joiner = all.signers[65] as (typeof all.signers)[number];
  const genesis = {
    chainName: 'many',
    timeUs: START_US,
    ordering,
    parameters: {
      allocations: [{ account: joiner.account, amount: 10n ** 12n }],
      settings: [],
    },
  };
  const store = createSimulatedDisk(createSeededRandomness(1)).open();
  const open = () =>
    createChain({
      genesis,
      contracts: systemContracts,
      fees: tokenFees,
      store,
      verifySignature,
    });

  it('takes a 66th by contract; proofs bring the change along and hold from the genesis alone', async () => {
    expect(genesisValidators(ordering).isLarge).toBe(true);
    const chain = await open();
    const run = async (timeUs: number, ...calls: readonly ContractCall[]) => {
      const { era } = chain;
      const body = {
        chain: chain.id,
        publicKey: joiner.publicKey,
        nonce: chain.account(joiner.account).nonce,
        validUntilUs: timeUs + 60_000_000,
        fuelLimit: 60_000_000n,
        fuelPrice: 1n,
        calls,
      };
      const transactions = calls.length > 0 ? [signTransaction(joiner, body)] : [];
      const height = chain.head.header.height + 1;
      const decision = sha256Hex(utf8(`cut ${height}`));
      const place = { height, parent: chain.head.hash, timeUs, decision };
      const execution = chain.execute({ ...place, transactions }, 'skip');
      expect(execution.receipts.map(({ message }) => message)).toEqual(
        calls.length ? [undefined] : [],
      );
      const handover = chain.handover();
      await chain.commit(
        execution,
        all.certify(execution.header, era, chain.validators(era)),
        handover ? [handover] : [],
      );
    };
    const { publicKey } = joiner;
    const bls = deriveBlsSigner(all.seeds[65] as Uint8Array);
    await run(
      START_US + 1_000,
      stakeCalls.bond({ publicKey, amount: VALIDATOR_STAKE }),
      stakeCalls.registerBls({ publicKey, bls: bls.publicKey, possession: provePossession(bls) }),
    );
    for (const ahead of [0, 1, 2, 2, 2]) await run(START_US + ahead * ERA_US + 2_000);
    expect(chain.validators(chain.era)).toMatchObject({ isLarge: true });
    expect(chain.validators(chain.era).validators).toHaveLength(66);

    const proof = decodeStateProof(
      encodeStateProof(chain.prove('token', tokenKeys.balance(joiner.account))),
    );
    expect(verifyStateProof(genesis, proof, verifySignature).height).toBe(6);
    // A checkpoint attested to by weight Q and one more, for the block before it.
    const last = chain.header(6)?.header;
    const set = chain.validators(proof.certificate.kind === 'eda' ? proof.certificate.era : 0);
    if (!last?.decision) throw new Error('no cut');
    const era = (proof.certificate as EdaCertificate).era;
    const attest = { chain: chain.id, era, slot: 6, hash: last.decision };
    const attestedBy = (message: typeof attest) =>
      aggregateVotes(
        set,
        set.validators.slice(0, set.quorum + 1).map(({ publicKey: of }, from) => {
          const at = all.signers.findIndex((by) => by.publicKey === of);
          const key = deriveBlsSigner(all.seeds[at] as Uint8Array);
          const bytes = signedBytes('attest', message);
          return { from, signature: key.sign(signingDomain('attest'), bytes) };
        }),
      );
    const aggregate = attestedBy(attest);
    const finality = findFinalityProof(store, 5, { height: 6, aggregate });
    if (!finality) throw new Error('no proof');
    const again = decodeFinalityProof(encodeFinalityProof(finality));
    const weight = 2 * set.quorum - set.total;
    expect(verifyFinalityProof(genesis, again, verifySignature)).toEqual({
      ...{ height: 5, checkpoint: 6, total: 66 },
      weight,
    });
    const [fifth] = again.headers;
    if (!fifth) throw new Error('no header');
    const otherSlot = attestedBy({ ...attest, slot: 5 });
    for (const forged of [
      { ...again, aggregate: otherSlot },
      { ...again, headers: again.headers.toReversed() },
      { ...again, headers: [{ ...fifth, timeUs: fifth.timeUs + 1 }, ...again.headers.slice(1)] },
      { ...again, headers: [] },
    ])
      expect(() => verifyFinalityProof(genesis, forged, verifySignature)).toThrow(
        /PROOF_INVALID|hold|follow|no header/,
      );
    expect(() =>
      verifyFinalityProof(genesis, { ...again, headers: [fifth] }, verifySignature),
    ).toThrow('not final');
    const certificate = proof.certificate as EdaCertificate;
    expect(certificate.handovers).toHaveLength(1);
    const fails = (changed: Partial<EdaCertificate>) =>
      expect(() =>
        verifyStateProof(
          genesis,
          { ...proof, certificate: { ...certificate, ...changed } },
          verifySignature,
        ),
      ).toThrow('not final');
    fails({ handovers: [] });
    const [change] = certificate.handovers ?? [];
    if (!change?.aggregate || !certificate.aggregate) throw new Error('no sums');
    expect(equalBytes(change.aggregate.signature, certificate.aggregate.signature)).toBe(false);
    fails({ handovers: [{ ...change, aggregate: certificate.aggregate }] });
    fails({ aggregate: change.aggregate });
    // Signatures one by one are no certificate of such a set.
    const { aggregate: _none, ...bare } = certificate;
    fails({ ...bare, aggregate: undefined as never });
  });

  it('is not born when a BLS key is not proven to be held', async () => {
    const [first, second] = ordering.validators;
    if (!first?.bls || !second?.bls) throw new Error('two keys');
    const stolen = { ...first, bls: { ...second.bls, possession: first.bls.possession } };
    const validators = [stolen, ...ordering.validators.slice(1)];
    await expect(
      createChain({
        genesis: { ...genesis, ordering: { ...ordering, validators } },
        contracts: systemContracts,
        fees: tokenFees,
        store: createSimulatedDisk(createSeededRandomness(2)).open(),
        verifySignature,
      }),
    ).rejects.toMatchObject({ code: 'LEDGER_GENESIS_INVALID' });
  });
});
