/** A real chain (contracts, ledger, solo ordering) in this process, behind the market's port. */
import { systemContracts, tokenFees } from '#contracts';
import { type Signer, verifySignature } from '#libs/crypto';
import type { Clock } from '#libs/kernel';
import {
  type Call,
  type Chain,
  type Genesis,
  type TransactionEnvelope,
  createChain,
  createMempool,
  createProducer,
  createSoloOrdering,
  decodeReceipt,
  signTransaction,
} from '#libs/ledger';
import { createMemoryStore } from '#libs/store';
import type { ChainNode, FinalBlock } from '../chain/chain-node.ts';

const YEAR_US = 365 * 86_400 * 1_000_000;

export interface InProcessChain {
  readonly node: ChainNode;
  readonly id: string;
  /** Executes calls of an account in a block of their own. */
  execute(signer: Signer, calls: readonly Call[]): Promise<void>;
  /** While false, blocks wait: transactions are taken and nothing becomes final. */
  setProducing(producing: boolean): Promise<void>;
}

async function* followBlocks(
  chain: Chain,
  waiting: Set<() => void>,
  fromHeight: number,
  signal: AbortSignal,
): AsyncGenerator<FinalBlock> {
  // Block 0 is the genesis: it holds no transactions.
  for (let height = Math.max(1, fromHeight); !signal.aborted;) {
    const block = chain.block(height);
    if (block !== undefined) {
      yield { block, receipts: (chain.receipts(height) ?? []).map(decodeReceipt) };
      height++;
      continue;
    }
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        waiting.delete(wake);
        resolve();
      };
      waiting.add(wake);
      signal.addEventListener('abort', wake, { once: true });
    });
  }
}

/** `rich` accounts start with 1,000 tokens each. */
export async function createInProcessChain(
  sequencer: Signer,
  rich: readonly Signer[],
  clock: Clock,
): Promise<InProcessChain> {
  const genesis: Genesis = {
    chainName: 'test',
    timeUs: clock.nowUs() - 1_000_000,
    ordering: { kind: 'solo', sequencer: sequencer.publicKey },
    parameters: {
      allocations: rich.map(({ account }) => ({ account, amount: 10n ** 12n })),
      settings: [],
    },
  };
  const store = createMemoryStore();
  const parts = { contracts: systemContracts, fees: tokenFees, store, verifySignature };
  const chain = await createChain({ genesis, ...parts });
  const mempool = createMempool({
    chain: chain.id,
    limits: chain.limits,
    accounts: chain,
    onDropped: () => undefined,
  });
  const producer = createProducer({ chain, mempool, ordering: createSoloOrdering(sequencer) });
  const waiting = new Set<() => void>();
  const state = { producing: true };
  let turn: Promise<unknown> = Promise.resolve();
  const produce = (): Promise<unknown> => {
    turn = turn.then(async () => {
      while (state.producing && (await producer.step(clock.nowUs())) !== undefined)
        for (const wake of [...waiting]) wake();
    });
    return turn;
  };
  const submit = async (transactions: readonly TransactionEnvelope[]) => {
    const outcomes = transactions.map((envelope) => {
      const admission = mempool.add(envelope, clock.nowUs());
      return admission.ok
        ? ({ accepted: true } as const)
        : ({ accepted: false, code: admission.error.code } as const);
    });
    void produce();
    return outcomes;
  };
  const node: ChainNode = {
    status: async () => ({ chain: chain.id, height: chain.head.header.height }),
    genesis: async () => genesis,
    nonce: async (account) => ({
      nonce: chain.account(account).nonce,
      height: chain.head.header.height,
    }),
    state: async (contract, key) => ({
      value: chain.get(contract, key),
      height: chain.head.header.height,
    }),
    prove: async (contract, key) => chain.prove(contract, key),
    submit,
    blocks: (fromHeight, signal) => followBlocks(chain, waiting, fromHeight, signal),
  };
  return {
    node,
    id: chain.id,
    execute: async (signer, calls) => {
      const body = {
        chain: chain.id,
        publicKey: signer.publicKey,
        nonce: chain.account(signer.account).nonce,
        validUntilUs: clock.nowUs() + YEAR_US,
        fuelLimit: 20_000_000n,
        fuelPrice: 1n,
        calls,
      };
      const envelope = signTransaction(signer, body);
      const [outcome] = await submit([envelope]);
      if (outcome?.accepted !== true) throw new Error(`refused: ${outcome?.code}`);
      await produce();
      const final = chain.receipt(envelope.id);
      if (final?.receipt.status !== 'ok')
        throw new Error(`not executed: ${final?.receipt.code} ${final?.receipt.message}`);
    },
    setProducing: async (value) => {
      state.producing = value;
      if (value) await produce();
    },
  };
}
