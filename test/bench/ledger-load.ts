/**
 * Load generator of the ledger bench, in a process of its own: signs first, then sends batches over a
 * few connections and waits until the node says that the last transaction of each is final.
 *
 * Usage: node dist/test/bench/ledger-load.js '{"url","accounts","transactions","seed"}'
 */
import { createSigner, sha256 } from '#libs/crypto';
import { concatBytes, encodeWith, utf8 } from '#libs/kernel';
import {
  type TransactionEnvelope,
  genesisId,
  signTransaction,
  transactionBatch,
} from '#libs/ledger';
import { createNodeClient } from '#libs/platform';
import { tokenCalls } from '#contracts';

interface LoadOrder {
  readonly url: string;
  readonly accounts: number;
  readonly transactions: number;
  readonly seed: number;
}

export interface LoadReport {
  readonly sent: number;
  readonly final: number;
  readonly refused: number;
  readonly seconds: number;
}

const BATCH = 500;
const CONNECTIONS = 8;
/** Share of the accounts that are asked what was executed. */
const COUNTED_EVERY = 50;
const VALID_US = 600_000_000;

/** Key of a funded account of the bench. */
export function benchSigner(seed: number, index: number) {
  return createSigner(sha256(concatBytes(utf8(`bench ${seed} ${index}`))));
}

async function main(): Promise<void> {
  const order = JSON.parse(process.argv[2] as string) as LoadOrder;
  const node = createNodeClient(order.url);
  const chain = genesisId(await node.genesis());
  const { timeUs } = await node.status();
  const validUntilUs = Math.max(timeUs, Date.now() * 1000) + VALID_US;
  const signers = Array.from({ length: order.accounts }, (_, i) => benchSigner(order.seed, i));
  const signed: TransactionEnvelope[] = [];
  for (let i = 0; i < order.transactions; i++) {
    const signer = signers[i % order.accounts] as (typeof signers)[0];
    const to = sha256(utf8(`receiver ${order.seed} ${(i * 7919) % order.accounts}`));
    const call = tokenCalls.transfer({ to: Buffer.from(to).toString('hex'), amount: 1n });
    const nonce = Math.floor(i / order.accounts);
    signed.push(
      signTransaction(signer, {
        chain,
        publicKey: signer.publicKey,
        nonce,
        validUntilUs,
        fuelLimit: 400_000n,
        fuelPrice: 1n,
        calls: [call],
      }),
    );
  }
  const batches: { readonly body: Uint8Array<ArrayBuffer>; readonly last: string }[] = [];
  for (let i = 0; i < signed.length; i += BATCH) {
    const batch = signed.slice(i, i + BATCH);
    const body = encodeWith(
      transactionBatch,
      batch.map(({ bytes }) => bytes),
    );
    batches.push({ body: new Uint8Array(body), last: batch.at(-1)?.id ?? '' });
  }
  process.stdout.write('ready\n');
  await new Promise((resolve) => process.stdin.once('data', resolve));

  let next = 0;
  let refused = 0;
  const began = performance.now();
  const worker = async (): Promise<void> => {
    for (let batch = batches[next++]; batch; batch = batches[next++]) {
      const response = await fetch(`${order.url}/v1/transactions`, {
        method: 'POST',
        headers: { 'content-type': 'application/cbor' },
        body: batch.body,
      });
      const text = await response.text();
      refused += text.split('"accepted":false').length - 1;
      if (!response.ok) throw new Error(`${response.status}: ${text.slice(0, 300)}`);
      await node.receipt(batch.last, 20_000);
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, worker));
  const seconds = (performance.now() - began) / 1000;
  // What the accounts say was executed, after the clock has stopped.
  let final = 0;
  for (let i = 0; i < Math.min(order.accounts, order.transactions); i++) {
    if (i % COUNTED_EVERY !== 0) continue;
    const { nonce } = await node.account((signers[i] as (typeof signers)[0]).account);
    final += nonce;
  }
  final *= COUNTED_EVERY;
  const report: LoadReport = { sent: signed.length, final, refused, seconds };
  process.stdout.write(`${JSON.stringify(report)}\n`);
}

if (process.argv[1] === import.meta.filename) await main();
