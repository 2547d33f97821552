/**
 * Load generator of the cluster bench, in a process of its own: signs first, then keeps a fixed number
 * of transfers under way over all nodes, in batches whose accounts are used by nobody else, and notes
 * how long each batch took from being sent to the receipt of its last transfer.
 *
 * Usage: node dist/test/bench/cluster-load.js '{"urls","window","batch","warmMs","measureMs","transfers","seed"}'
 */
import { tokenCalls } from '#contracts';
import { type Signer, createSigner, sha256 } from '#libs/crypto';
import { encodeWith, isSeeleError, utf8 } from '#libs/kernel';
import { genesisId, signTransaction, transactionBatch } from '#libs/ledger';
import { type NodeClient, createNodeClient } from '#libs/platform';
import { cpuSeconds } from './harness.ts';

export interface ClusterLoadOrder {
  readonly urls: readonly string[];
  /** Transfers under way at a time. */
  readonly window: number;
  readonly batch: number;
  readonly warmMs: number;
  readonly measureMs: number;
  /** Most transfers that are signed and sent. */
  readonly transfers: number;
  readonly seed: number;
}

export interface ClusterLoadReport {
  /** Transfers whose batch ended within the measured time. */
  readonly final: number;
  readonly refused: number;
  /** Accepted and never final. */
  readonly lost: number;
  readonly sent: number;
  readonly seconds: number;
  /** From sending to the receipt of the last of a batch, ms. */
  readonly finalityMs: readonly number[];
  /** Of the generator, while measured. */
  readonly cpuSeconds: number;
}

const RECEIPT_WAIT_MS = 60_000;
const VALID_US = 600_000_000;

/** Keys of the payers, one account per transfer under way. */
export const payer = (seed: number, index: number): Signer =>
  createSigner(sha256(utf8(`cluster payer ${seed} ${index}`)));

interface Batch {
  readonly body: Uint8Array<ArrayBuffer>;
  readonly last: string;
}

/** Batches of one worker, in the order of their nonces. */
function signBatches(
  chain: string,
  signers: readonly Signer[],
  rounds: number,
  validUntilUs: number,
): readonly Batch[] {
  return Array.from({ length: rounds }, (_, nonce) => {
    const signed = signers.map((signer, i) =>
      signTransaction(signer, {
        chain,
        publicKey: signer.publicKey,
        nonce,
        validUntilUs,
        fuelLimit: 400_000n,
        fuelPrice: 100n,
        calls: [
          tokenCalls.transfer({
            to: (signers[(i + 1) % signers.length] as Signer).account,
            amount: 1n,
          }),
        ],
      }),
    );
    const body = encodeWith(
      transactionBatch,
      signed.map(({ bytes }) => bytes),
    );
    return { body: new Uint8Array(body), last: signed.at(-1)?.id as string };
  });
}

async function main(): Promise<void> {
  const order = JSON.parse(process.argv[2] as string) as ClusterLoadOrder;
  const { urls, window, batch: size, warmMs, measureMs, seed } = order;
  const clients = urls.map((url) => createNodeClient(url, { timeoutMs: 30_000 }));
  const chain = genesisId(await (clients[0] as NodeClient).genesis());
  const workers = Math.max(urls.length, Math.round(window / size));
  const rounds = Math.max(1, Math.floor(order.transfers / (workers * size)));
  const validUntilUs = Date.now() * 1000 + VALID_US;
  const batches = Array.from({ length: workers }, (_, worker) =>
    signBatches(
      chain,
      Array.from({ length: size }, (__, i) => payer(seed, worker * size + i)),
      rounds,
      validUntilUs,
    ),
  );
  process.stdout.write('ready\n');
  await new Promise((resolve) => process.stdin.once('data', resolve));

  const began = performance.now();
  const fromMs = began + warmMs;
  const toMs = fromMs + measureMs;
  const finalityMs: number[] = [];
  let sent = 0;
  let final = 0;
  let refused = 0;
  let lost = 0;
  let lastMs = fromMs;
  let cpuFrom: number | undefined;
  let cpuTo = 0;
  async function work(worker: number): Promise<void> {
    const client = clients[worker % clients.length] as NodeClient;
    const url = urls[worker % urls.length] as string;
    // Spread over the time one batch takes, as independent users are.
    await new Promise((resolve) => setTimeout(resolve, (worker / workers) * 500));
    for (const { body, last } of batches[worker] ?? []) {
      const sentMs = performance.now();
      if (sentMs >= toMs) return;
      if (sentMs >= fromMs) cpuFrom ??= cpuSeconds();
      const response = await fetch(`${url}/v1/transactions`, {
        method: 'POST',
        headers: { 'content-type': 'application/cbor' },
        body,
      });
      const text = await response.text();
      sent += size;
      if (!response.ok) throw new Error(`${response.status}: ${text.slice(0, 300)}`);
      const refusals = text.split('"accepted":false').length - 1;
      refused += refusals;
      const receipt = await client.receipt(last, RECEIPT_WAIT_MS).catch((error: unknown) => {
        if (isSeeleError(error)) return undefined;
        throw error;
      });
      const endMs = performance.now();
      if (receipt?.receipt.status !== 'ok') {
        // Dropped after waiting too long, or refused: what follows it has no valid nonce.
        lost += size;
        return;
      }
      if (sentMs < fromMs || endMs > toMs) continue;
      final += size - refusals;
      finalityMs.push(endMs - sentMs);
      lastMs = endMs;
      cpuTo = cpuSeconds();
    }
  }
  await Promise.all(Array.from({ length: workers }, (_, worker) => work(worker)));
  // A worker that ran out of transfers ends the measurement early.
  const seconds = (lastMs - fromMs) / 1000;
  const report: ClusterLoadReport = {
    final,
    refused,
    lost,
    sent,
    seconds,
    finalityMs,
    cpuSeconds: cpuTo - (cpuFrom ?? cpuTo),
  };
  process.stdout.write(`${JSON.stringify(report)}\n`);
}

if (process.argv[1] === import.meta.filename) await main();
