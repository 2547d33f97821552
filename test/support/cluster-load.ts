/** Transfers against a cluster, each sent to one node after the other until it is final. */
import { tokenCalls } from '#contracts';
import { type Signer, createSigner, sha256 } from '#libs/crypto';
import { isSeeleError, utf8 } from '#libs/kernel';
import { type TransactionEnvelope, headerHash, signTransaction } from '#libs/ledger';
import type { NodeClient } from '#libs/platform';
import type { Cluster } from './cluster.ts';

export const loadSigners = (count: number): readonly Signer[] =>
  Array.from({ length: count }, (_, i) => createSigner(sha256(utf8(`payer ${i}`))));

export function transfer(
  { chain }: Cluster,
  signer: Signer,
  nonce: number,
  to: string,
): TransactionEnvelope {
  return signTransaction(signer, {
    chain,
    publicKey: signer.publicKey,
    nonce,
    validUntilUs: (Date.now() + 600_000) * 1000,
    fuelLimit: 400_000n,
    fuelPrice: 1n,
    calls: [tokenCalls.transfer({ to, amount: 7n })],
  });
}

export interface ClusterLoad {
  /** Height at which each transaction became final, by id. */
  readonly final: ReadonlyMap<string, number>;
  /** Resolves when one more is final. @throws after `limitMs` */
  progress(limitMs: number): Promise<void>;
  stop(): Promise<void>;
}

/** Every signer sends one transfer after the other, for ever, to nodes that answer. */
export function startLoad(
  cluster: Cluster,
  nodes: number,
  signers: readonly Signer[],
): ClusterLoad {
  const final = new Map<string, number>();
  const listeners = new Set<() => void>();
  let isStopping = false;
  const clientOf = (node: number): NodeClient | undefined => {
    try {
      return cluster.client(node);
    } catch {
      return undefined;
    }
  };
  const firstNonce = async ({ account }: Signer): Promise<number> => {
    for (let node = 0; node < nodes; node++) {
      const known = await clientOf(node)
        ?.account(account)
        .catch(() => undefined);
      if (known) return known.nonce;
    }
    return 0;
  };
  const sendFor = async (index: number): Promise<void> => {
    const signer = signers[index] as Signer;
    const to = (signers[(index + 1) % signers.length] as Signer).account;
    let node = index;
    for (let nonce = await firstNonce(signer); !isStopping; nonce++) {
      const transaction = transfer(cluster, signer, nonce, to);
      while (!isStopping) {
        const client = clientOf(node % nodes);
        try {
          const receipt = await client?.execute(transaction, 2_000);
          if (receipt) {
            final.set(transaction.id, receipt.height);
            for (const listener of listeners) listener();
            break;
          }
        } catch (error) {
          // Killed meanwhile, or the node does not know of the transaction before: another one.
          if (!isSeeleError(error) && !(error instanceof Error)) throw error;
        }
        node++;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  };
  const running = Promise.all(signers.map((_, index) => sendFor(index)));
  return {
    final,
    progress: (limitMs) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          listeners.delete(done);
          reject(new Error(`nothing became final in ${limitMs} ms`));
        }, limitMs);
        const done = (): void => {
          clearTimeout(timer);
          listeners.delete(done);
          resolve();
        };
        listeners.add(done);
      }),
    async stop() {
      isStopping = true;
      await running;
    },
  };
}

/** Waits until all these nodes have the same head, at least this high. @throws after `limitMs` */
export async function sameHead(
  cluster: Cluster,
  nodes: readonly number[],
  least: number,
  limitMs = 60_000,
): Promise<number> {
  const limit = Date.now() + limitMs;
  for (;;) {
    const heads = await Promise.all(nodes.map((node) => cluster.client(node).status()));
    const [first] = heads;
    const isSame = heads.every(({ head }) => head === first?.head);
    if (first && isSame && first.height >= least) return first.height;
    if (Date.now() > limit)
      throw new Error(
        `heights ${heads.map(({ height }) => height).join(', ')} after ${limitMs} ms`,
      );
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Heights at which two of these nodes have different blocks. */
export async function divergences(
  cluster: Cluster,
  nodes: readonly number[],
  height: number,
): Promise<readonly number[]> {
  const found: number[] = [];
  for (let at = 1; at <= height; at++) {
    const hashes = await Promise.all(
      nodes.map(async (node) => headerHash((await cluster.client(node).block(at)).header)),
    );
    if (new Set(hashes).size !== 1) found.push(at);
  }
  return found;
}
