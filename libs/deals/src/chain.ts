/** Deals as they stand on a chain, and calls that reach it. */
import {
  type Beacon,
  type ContractCall,
  DEALS_CONTRACT,
  type DealRecord,
  type ShardRecord,
  VACANT_SHARD,
  dealDescriptor,
  dealOfKey,
  dealRecord,
  dealsKeys,
  beacon as beaconCodec,
  shardRecord,
  workOfKey,
} from '#contracts';
import type { Signer } from '#libs/crypto';
import { type AccountId, type Bytes, type Clock, type Codec, decodeWith } from '#libs/kernel';
import { type FinalReceipt, signTransaction } from '#libs/ledger';
import type { NodeClient } from '#libs/platform';
import { dealsError } from './errors.ts';

async function read<T>(node: NodeClient, key: Bytes, codec: Codec<T>): Promise<T | undefined> {
  const bytes = await node.state(DEALS_CONTRACT, key);
  return bytes && decodeWith(codec, bytes);
}

export interface Work {
  readonly deal: string;
  readonly index: number;
}

/** What contract `deals` says, from one node. */
export function createDealReader(node: NodeClient) {
  async function keysBelow<T>(prefix: Bytes, read: (key: Bytes) => T): Promise<T[]> {
    const found: T[] = [];
    for await (const [key] of node.scan(DEALS_CONTRACT, prefix)) found.push(read(key));
    return found;
  }
  return {
    deal: (id: string): Promise<DealRecord | undefined> =>
      read(node, dealsKeys.deal(id), dealRecord),
    descriptor: (id: string): Promise<Bytes | undefined> =>
      read(node, dealsKeys.content(id), dealDescriptor),
    beacon: (epochUs: number): Promise<Beacon | undefined> =>
      read(node, dealsKeys.beacon(epochUs), beaconCodec),
    shard: async (id: string, index: number): Promise<ShardRecord> =>
      (await read(node, dealsKeys.shard(id, index), shardRecord)) ?? VACANT_SHARD,
    /** All shards of a deal, by index. */
    async shards(id: string, count: number): Promise<readonly ShardRecord[]> {
      const all: ShardRecord[] = Array.from({ length: count }, () => VACANT_SHARD);
      for await (const [key, value] of node.scan(DEALS_CONTRACT, dealsKeys.shards(id)))
        all[(key.at(-2) as number) * 256 + (key.at(-1) as number)] = decodeWith(shardRecord, value);
      return all;
    },
    workOf: (provider: AccountId): Promise<Work[]> =>
      keysBelow(dealsKeys.workOf(provider), workOfKey),
    dealsOf: (consumer: AccountId): Promise<string[]> =>
      keysBelow(dealsKeys.dealsOf(consumer), dealOfKey),
    repairsOf: (repairer: AccountId): Promise<string[]> =>
      keysBelow(dealsKeys.repairsOf(repairer), dealOfKey),
  };
}
export type DealReader = ReturnType<typeof createDealReader>;

export type SendOutcome =
  | { readonly ok: true; readonly receipt: FinalReceipt }
  | { readonly ok: false; readonly code: string; readonly message: string };

export interface ChainSender {
  /**
   * Sends transactions, one for each list of calls, together; resolves when all are final. Every method
   * of contract `deals` may be called again, so what is unknown is simply sent once more later.
   */
  send(transactions: readonly (readonly ContractCall[])[]): Promise<readonly SendOutcome[]>;
}

const FUEL_LIMIT = 30_000_000n;
const VALID_US = 60_000_000;
const WAIT_MS = 20_000;
/** Other parts of a process sign with the same key: their nonce may come between. */
const ATTEMPTS = 4;
const RETRY_MS = 150;
const BATCH_MAX = 100;

const failed = (error: unknown): SendOutcome => {
  const { code = 'DEALS_REFUSED', message } = error as { code?: string; message: string };
  return { ok: false, code, message };
};

export function createChainSender(node: NodeClient, signer: Signer, clock: Clock): ChainSender {
  let last: Promise<unknown> = Promise.resolve();

  async function once(transactions: readonly (readonly ContractCall[])[]) {
    const [{ genesis, minimumFuelPrice }, { nextNonce }] = await Promise.all([
      node.status(),
      node.account(signer.account),
    ]);
    const signed = transactions.map((calls, i) =>
      signTransaction(signer, {
        ...{ chain: genesis, publicKey: signer.publicKey, nonce: nextNonce + i, calls },
        ...{ validUntilUs: clock.nowUs() + VALID_US, fuelLimit: FUEL_LIMIT },
        fuelPrice: minimumFuelPrice,
      }),
    );
    const submitted = await node.submit(signed);
    return Promise.all(
      signed.map(async ({ id }, i): Promise<SendOutcome | undefined> => {
        const result = submitted[i];
        if (result?.accepted !== true)
          return result === undefined || result.error.code.startsWith('LEDGER_NONCE_')
            ? undefined
            : failed(result.error);
        try {
          const receipt = await node.receipt(id, WAIT_MS);
          if (receipt === undefined) return undefined;
          const { status, code, message } = receipt.receipt;
          if (status === 'ok') return { ok: true, receipt };
          return { ok: false, code: code ?? status, message: message ?? status };
        } catch {
          return undefined; // Dropped: another transaction had its nonce.
        }
      }),
    );
  }

  async function batch(
    transactions: readonly (readonly ContractCall[])[],
  ): Promise<readonly SendOutcome[]> {
    const outcomes: (SendOutcome | undefined)[] = transactions.map(() => undefined);
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const open = [...outcomes.keys()].filter((i) => outcomes[i] === undefined);
      if (open.length === 0) break;
      const results = await once(open.map((i) => transactions[i] as readonly ContractCall[]));
      for (const [n, i] of open.entries()) outcomes[i] = results[n];
      if (outcomes.includes(undefined))
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS * attempt));
    }
    return outcomes.map(
      (outcome) => outcome ?? { ok: false, code: 'DEALS_REFUSED', message: 'it is not final yet' },
    );
  }

  return {
    send(transactions) {
      const run = last
        .catch(() => {})
        .then(async () => {
          const all: SendOutcome[] = [];
          for (let at = 0; at < transactions.length; at += BATCH_MAX)
            all.push(...(await batch(transactions.slice(at, at + BATCH_MAX))));
          return all;
        });
      last = run;
      return run;
    },
  };
}

/** Sends one transaction. @throws DEALS_REFUSED with the contract's code in the message */
export async function sendOrThrow(
  sender: ChainSender,
  calls: readonly ContractCall[],
): Promise<FinalReceipt> {
  const [outcome] = await sender.send([calls]);
  if (outcome?.ok === true) return outcome.receipt;
  throw dealsError('DEALS_REFUSED', `${outcome?.message ?? ''} [${outcome?.code ?? ''}]`);
}
