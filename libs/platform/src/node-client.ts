/**
 * Typed client of a chain node. Transactions are safe to send again: the same bytes have one id and
 * run once.
 *
 * @example
 * const node = createNodeClient('http://127.0.0.1:7401');
 * const { nextNonce } = await node.account(signer.account);
 * const receipt = await node.execute(signTransaction(signer, { ...body, nonce: nextNonce }));
 */
import {
  type AccountId,
  type Bytes,
  SeeleError,
  bytesToHex,
  encodeWith,
  errorEntry,
  formatAccount,
  hexToBytes,
  parseUnits,
} from '#libs/kernel';
import {
  type Block,
  type BlockWithReceipts,
  type Call,
  type FinalReceipt,
  type FinalityProof,
  type Genesis,
  type StateProof,
  type TransactionEnvelope,
  decodeBlock,
  decodeBlockWithReceipts,
  decodeGenesis,
  decodeReceipt,
  decodeFinalityProof,
  decodeStateProof,
  transactionBatch,
  viewRequest,
} from '#libs/ledger';
import { z } from 'zod';
import { platformError } from './errors.ts';

const problem = z.object({
  code: z.string(),
  detail: z.string(),
  title: z.string(),
  status: z.number(),
  fix: z.string(),
});
const statusShape = z.object({
  chain: z.string(),
  genesis: z.string(),
  height: z.number(),
  head: z.string(),
  /** Above 0 on a node that copied the state before it. */
  firstHeight: z.number(),
  timeUs: z.number(),
  ordering: z.object({ kind: z.string(), notice: z.string() }),
  /** What consensus says of itself; absent on a chain of one sequencer. */
  consensus: z
    .object({
      slot: z.number(),
      view: z.number(),
      era: z.number(),
      /** Whether its votes count: `yes`, `watches` (they may be lost), or what else. */
      voting: z.string(),
      peers: z.array(z.string()),
      validators: z.array(z.object({ publicKey: z.string(), weight: z.number() })),
      quorum: z.number(),
      /** Of consensus; without a sampling rate: 200 seats, or all. */
      parameters: z.object({ epsilonUs: z.number(), samplingPerMille: z.number().optional() }),
      seenHeight: z.number(),
    })
    .optional(),
  waiting: z.number(),
  minimumFuelPrice: z.string().transform(parseUnits),
  transactionFuel: z.string().transform(parseUnits),
});
const submissions = z.object({
  transactions: z.array(
    z.object({ id: z.string().nullable(), accepted: z.boolean(), error: problem.optional() }),
  ),
});
const transactionShape = z.object({
  finality: z.enum(['final', 'pending']),
  height: z.number().optional(),
  index: z.number().optional(),
  timeUs: z.number().optional(),
  cbor: z.string().optional(),
});
const accountShape = z.object({
  balance: z.string().transform(parseUnits),
  nonce: z.number(),
  nextNonce: z.number(),
});
const scanShape = z.object({
  entries: z.array(z.object({ key: z.string(), value: z.string() })),
  cursor: z.string().nullable(),
});
const viewShape = z.object({
  status: z.enum(['ok', 'reverted', 'trapped']),
  result: z.string().optional(),
  code: z.string().optional(),
  message: z.string().optional(),
  fuelUsed: z.string().transform(BigInt),
});
const streamed = z.object({ height: z.number(), cbor: z.string() });

/** How a call on the last state ended. */
export type ViewOutcome = { readonly fuelUsed: bigint } & (
  | { readonly ok: true; readonly result: Bytes }
  | { readonly ok: false; readonly status: string; readonly code: string; readonly message: string }
);
export type NodeStatus = z.infer<typeof statusShape>;
export type NodeAccount = z.infer<typeof accountShape>;

export type SubmitResult =
  | { readonly id: string; readonly accepted: true }
  | { readonly id: string | null; readonly accepted: false; readonly error: SeeleError };

export interface NodeClientOptions {
  /** Longest wait for an answer; waiting for a receipt comes on top. */
  readonly timeoutMs?: number;
  readonly fetch?: typeof fetch;
}

export interface NodeClient {
  readonly url: string;
  status(): Promise<NodeStatus>;
  genesis(): Promise<Genesis>;
  /** At most 1 000 transactions, answered in order. Accepted is not final. */
  submit(transactions: readonly TransactionEnvelope[]): Promise<readonly SubmitResult[]>;
  /** The receipt when it is final within `waitMs`. @throws why it was dropped; LEDGER_NOT_FOUND */
  receipt(transactionId: string, waitMs?: number): Promise<FinalReceipt | undefined>;
  /** Submits and waits until final. @throws the refusal, or LEDGER_NOT_FOUND after `waitMs` */
  execute(transaction: TransactionEnvelope, waitMs?: number): Promise<FinalReceipt>;
  /** Runs a call on the last state and forgets what it did; no fee. */
  call(call: Call, origin?: AccountId): Promise<ViewOutcome>;
  account(account: AccountId): Promise<NodeAccount>;
  /** Stored value, canonical CBOR; undefined when there is none. */
  state(contract: string, key: Bytes): Promise<Bytes | undefined>;
  /** Not verified here: call `verifyStateProof` with a genesis you trust. */
  prove(contract: string, key: Bytes): Promise<StateProof>;
  /** All entries whose key begins with `prefix`, in key order, page by page. */
  scan(
    contract: string,
    prefix: Bytes,
  ): AsyncGenerator<readonly [key: Bytes, value: Bytes], void, undefined>;
  block(height: number): Promise<Block>;
  /** Not verified here: call `verifyFinalityProof`. @throws LEDGER_NOT_FOUND before it is attested */
  finalityProof(height: number): Promise<FinalityProof>;
  /**
   * Blocks from `fromHeight` on, without gaps, for ever: reconnects where it was until the signal
   * aborts. Not verified here.
   */
  blocks(
    fromHeight: number,
    signal?: AbortSignal,
  ): AsyncGenerator<BlockWithReceipts & { readonly height: number }, void, undefined>;
}

const CBOR = 'application/cbor';
const DEFAULT_TIMEOUT_MS = 15_000;
const DEFAULT_WAIT_MS = 20_000;
const WAIT_STEP_MS = 25_000;
const RECONNECT_MS = 250;
const EVENT_MAX_CHARACTERS = 64 * 1024 * 1024;

/** The error that a problem document stands for. */
function errorOf({ code, title, status, fix, detail }: z.infer<typeof problem>): SeeleError {
  return new SeeleError(code, errorEntry(code) ?? { status, title, fix }, detail);
}

const fromBase64 = (text: string): Bytes => new Uint8Array(Buffer.from(text, 'base64'));

async function refusalOf(response: Response): Promise<SeeleError> {
  const text = await response.text();
  try {
    return errorOf(problem.parse(JSON.parse(text)));
  } catch {
    return platformError('NODE_ANSWER', `the node answered ${response.status} without saying why`);
  }
}

/** Data lines of server-sent events (WHATWG HTML, 9.2.6), as far as the node uses them. */
async function* eventData(
  body: AsyncIterable<Uint8Array>,
): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder();
  let parts: string[] = [];
  let size = 0;
  for await (const chunk of body) {
    const text = decoder.decode(chunk, { stream: true });
    const lines = text.split('\n');
    for (const [i, line] of lines.entries()) {
      parts.push(line);
      size += line.length;
      if (size > EVENT_MAX_CHARACTERS) throw platformError('NODE_ANSWER', 'an event is too long');
      if (i === lines.length - 1) break; // Not ended yet.
      const whole = parts.join('');
      parts = [];
      size = 0;
      if (whole.startsWith('data: ')) yield whole.slice(6);
    }
  }
}

class HttpNodeClient implements NodeClient {
  readonly url: string;
  readonly #timeoutMs: number;
  readonly #fetch: typeof fetch;

  constructor(url: string, options: NodeClientOptions) {
    this.url = url.replace(/\/+$/, '');
    this.#timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    this.#fetch = options.fetch ?? fetch;
  }

  async #request(path: string, init: RequestInit = {}, extraMs = 0): Promise<Response> {
    const signal = init.signal ?? AbortSignal.timeout(this.#timeoutMs + extraMs);
    let response: Response | undefined;
    for (let attempt = 1; !response; attempt++) {
      try {
        response = await this.#fetch(`${this.url}${path}`, { ...init, signal });
      } catch (cause) {
        if (init.signal?.aborted) throw cause;
        // A kept connection may close just as it is used again; asking twice changes nothing.
        if (attempt === 1 && !signal.aborted) continue;
        throw platformError('NODE_UNREACHABLE', `no answer from ${this.url}`, { cause });
      }
    }
    if (!response.ok) throw await refusalOf(response);
    return response;
  }

  async #json<T>(shape: z.ZodType<T>, path: string, init?: RequestInit, extraMs = 0): Promise<T> {
    const response = await this.#request(path, init, extraMs);
    const read = shape.safeParse(await response.json().catch(() => undefined));
    if (read.success) return read.data;
    throw platformError('NODE_ANSWER', `${path}: the node’s answer has another shape`);
  }

  async #bytes(path: string): Promise<Bytes> {
    const response = await this.#request(path);
    return new Uint8Array(await response.arrayBuffer());
  }

  status(): Promise<NodeStatus> {
    return this.#json(statusShape, '/v1/status');
  }

  async genesis(): Promise<Genesis> {
    return decodeGenesis(await this.#bytes('/v1/genesis'));
  }

  async submit(transactions: readonly TransactionEnvelope[]): Promise<readonly SubmitResult[]> {
    const body = encodeWith(
      transactionBatch,
      transactions.map(({ bytes }) => bytes),
    );
    const answer = await this.#json(submissions, '/v1/transactions', {
      method: 'POST',
      headers: { 'content-type': CBOR },
      body: new Uint8Array(body),
    });
    return answer.transactions.map(({ id, accepted, error }): SubmitResult => {
      if (accepted && id !== null) return { id, accepted: true };
      if (error) return { id, accepted: false, error: errorOf(error) };
      throw platformError('NODE_ANSWER', 'a refused transaction without a reason');
    });
  }

  async receipt(transactionId: string, waitMs = 0): Promise<FinalReceipt | undefined> {
    let leftMs = waitMs;
    for (;;) {
      const stepMs = Math.min(leftMs, WAIT_STEP_MS);
      const path = `/v1/transactions/${transactionId}?waitMs=${stepMs}`;
      const { finality, cbor, height, index, timeUs } = await this.#json(
        transactionShape,
        path,
        {},
        stepMs,
      );
      if (finality === 'final') {
        if (
          cbor === undefined ||
          height === undefined ||
          index === undefined ||
          timeUs === undefined
        )
          throw platformError('NODE_ANSWER', 'a final transaction without its receipt');
        return { receipt: decodeReceipt(fromBase64(cbor)), height, index, timeUs };
      }
      leftMs -= stepMs;
      if (leftMs <= 0) return undefined;
    }
  }

  async execute(transaction: TransactionEnvelope, waitMs = DEFAULT_WAIT_MS): Promise<FinalReceipt> {
    const [result] = await this.submit([transaction]);
    if (result?.accepted === false) throw result.error;
    const final = await this.receipt(transaction.id, waitMs);
    if (final) return final;
    throw platformError('NODE_NOT_FINAL', `${transaction.id} is not final after ${waitMs} ms`);
  }

  async call(call: Call, origin?: AccountId): Promise<ViewOutcome> {
    const request = encodeWith(viewRequest, { call, ...(origin === undefined ? {} : { origin }) });
    const answer = await this.#json(viewShape, '/v1/call', {
      method: 'POST',
      headers: { 'content-type': CBOR },
      body: new Uint8Array(request),
    });
    const { status, result, fuelUsed, code = status, message = '' } = answer;
    if (status === 'ok' && result !== undefined)
      return { ok: true, result: fromBase64(result), fuelUsed };
    return { ok: false, status, code, message, fuelUsed };
  }

  account(account: AccountId): Promise<NodeAccount> {
    return this.#json(accountShape, `/v1/accounts/${formatAccount(account)}`);
  }

  async state(contract: string, key: Bytes): Promise<Bytes | undefined> {
    try {
      return await this.#bytes(`/v1/state/${encodeURIComponent(contract)}/${bytesToHex(key)}`);
    } catch (error) {
      if (error instanceof SeeleError && error.code === 'LEDGER_NOT_FOUND') return undefined;
      throw error;
    }
  }

  async prove(contract: string, key: Bytes): Promise<StateProof> {
    const path = `/v1/state/${encodeURIComponent(contract)}/${bytesToHex(key)}?proof=true`;
    return decodeStateProof(await this.#bytes(path));
  }

  async finalityProof(height: number): Promise<FinalityProof> {
    return decodeFinalityProof(await this.#bytes(`/v1/blocks/${height}/finality?proof=true`));
  }

  async *scan(contract: string, prefix: Bytes) {
    const path = `/v1/state/${encodeURIComponent(contract)}?prefix=${bytesToHex(prefix)}&limit=1000`;
    for (let cursor: string | null = ''; cursor !== null;) {
      const page: z.infer<typeof scanShape> = await this.#json(
        scanShape,
        cursor === '' ? path : `${path}&cursor=${cursor}`,
      );
      for (const { key, value } of page.entries) {
        const keyBytes = hexToBytes(key);
        if (!keyBytes) throw platformError('NODE_ANSWER', 'a key that is not hex');
        yield [keyBytes, fromBase64(value)] as const;
      }
      ({ cursor } = page);
    }
  }

  async block(height: number): Promise<Block> {
    return decodeBlock(await this.#bytes(`/v1/blocks/${height}`));
  }

  async *blocks(fromHeight: number, signal: AbortSignal = new AbortController().signal) {
    for (let next = fromHeight; !signal.aborted;) {
      try {
        const response = await this.#request(`/v1/blocks/stream?from=${next}`, { signal });
        if (!response.body) throw platformError('NODE_ANSWER', 'a stream without a body');
        for await (const data of eventData(response.body)) {
          const { height, cbor } = streamed.parse(JSON.parse(data));
          if (height !== next) throw platformError('NODE_ANSWER', `block ${height} for ${next}`);
          next++;
          yield { height, ...decodeBlockWithReceipts(fromBase64(cbor)) };
        }
      } catch (error) {
        if (signal.aborted) return;
        // What the node says or sends wrongly will not get better; a lost connection will.
        if (error instanceof SeeleError && error.code !== 'NODE_UNREACHABLE') throw error;
        if (error instanceof SyntaxError || error instanceof z.ZodError)
          throw platformError('NODE_ANSWER', 'an event that cannot be read', { cause: error });
      }
      await new Promise<void>((resolve) => setTimeout(resolve, RECONNECT_MS));
    }
  }
}

export function createNodeClient(url: string, options: NodeClientOptions = {}): NodeClient {
  return new HttpNodeClient(url, options);
}
