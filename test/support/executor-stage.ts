/** An executor with a chain of its own and nothing else: a test says what consensus decides and what peers tell. */
import { genesisSettings, systemContracts, tokenFees } from '#contracts';
import { createSigner, verifySignature } from '#libs/crypto';
import { type Body, deriveBlsSigner, genesisBase } from '#libs/eda';
import { type Bytes, createSeededRandomness } from '#libs/kernel';
import { type Genesis, createChain, genesisId } from '#libs/ledger';
import { createSimulatedDisk } from '#libs/store';
import { Executor } from '../../apps/node/src/eda/executor.ts';
import { createPayloads } from '../../apps/node/src/eda/payloads.ts';
import { StrengthBook } from '../../apps/node/src/eda/strength-book.ts';
import type { ResultMessage } from '../../apps/node/src/eda/wire.ts';
import { createSigningValidators } from './signing-validators.ts';

const TIME_US = 1_900_000_000_000_000;

export interface Told {
  readonly message: ResultMessage;
  /** Without: all. */
  readonly to: readonly string[] | undefined;
}

/** The last of so many validators is the one on the stage. */
export function createExecutorStage(
  count: number,
  allocations: Genesis['parameters']['allocations'] = [],
) {
  const validators = createSigningValidators(count);
  const { eraUs } = validators.ordering;
  const genesis: Genesis = {
    chainName: 'executor',
    timeUs: TIME_US,
    ordering: validators.ordering,
    parameters: { allocations, settings: genesisSettings },
  };
  const chainId = genesisId(genesis);
  const era = Math.floor(TIME_US / eraUs);

  /** What consensus decided: the executor believes it. */
  function cutOf(height: number) {
    const zero = '00'.repeat(32);
    const body: Body = {
      ...{ chain: chainId, era, slot: height, prevHash: zero },
      ...{ timeUs: TIME_US + height * 1_000_000, entries: [], creator: 0, parentHeader: null },
      ...{ stateRoot: zero, receiptsRoot: zero, outboxRoot: zero, setHash: zero },
      ...{ nextSetHash: zero, vrf: new Uint8Array(80) },
    };
    const hash = height.toString(16).padStart(2, '0').repeat(32);
    return { body, commit: { view: 0, hash, votes: [] } };
  }

  async function openChain() {
    const store = createSimulatedDisk(createSeededRandomness(1)).open();
    const chain = await createChain({
      ...{ genesis, store, verifySignature, contracts: systemContracts, fees: tokenFees },
      maxCachedNodes: 1_000,
    });
    return { store, chain };
  }

  async function startExecutor() {
    const { store, chain } = await openChain();
    const lies: [string, number][] = [];
    const said: Told[] = [];
    const seed = validators.seeds[count - 1] as Bytes;
    const executor = new Executor({
      ...{ chain, eraUs, base: genesisBase(chainId, TIME_US, eraUs) },
      ...{ signer: createSigner(seed), bls: [deriveBlsSigner(seed)] },
      payloads: createPayloads({ verify: async () => [], close: async () => undefined }),
      strengths: new StrengthBook(store),
      onExecuted: () => undefined,
      onSet: () => undefined,
      say: (message, to) => void said.push({ message, to }),
      onBlock: () => undefined,
      onLie: (peer, height) => void lies.push([peer, height]),
    });
    let failure: unknown;
    const running = executor.run().catch((error: unknown) => (failure = error));
    return {
      ...{ executor, chain, lies, said },
      get failure() {
        return failure;
      },
      decide(height: number): void {
        const { body, commit } = cutOf(height);
        executor.decided(body, commit);
      },
      /** Goes on after so many looks in any case. */
      async until(holds: () => boolean, looks = 2_000): Promise<void> {
        for (let i = 0; i < looks && !holds(); i++)
          await new Promise((done) => setTimeout(done, 2));
      },
      async stop(): Promise<void> {
        executor.stop();
        await running;
        await store.close();
      },
    };
  }

  return { validators, chainId, era, timeUs: TIME_US, cutOf, openChain, startExecutor };
}
