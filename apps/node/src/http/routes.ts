/**
 * What the node answers over HTTP. Plain routes: a node is started often, and must be there again quickly
 * after a crash (see `createHttpServer`).
 */
import type { FastifyInstance, FastifyReply } from 'fastify';
import { type Bytes, bytesToHex, decodeWith, formatAccount } from '#libs/kernel';
import {
  type FinalReceipt,
  type LedgerEvent,
  decodeTransactionBatch,
  encodeBlock,
  encodeFinalityProof,
  encodeGenesis,
  encodeReceipt,
  encodeStateProof,
  ledgerError,
  viewRequest,
} from '#libs/ledger';
import { errorToProblem, platformError } from '#libs/platform';
import type { NodeContext } from './node-context.ts';
import { createViewBudget } from './view-budget.ts';
import { isoTime, readAccount, readHash, readHex, readWhole } from './requests.ts';

const CBOR = 'application/cbor';
const VIEW_MAX_BYTES = 128 * 1024;
const WAIT_MAX_MS = 30_000;
const SCAN_MAX = 1_000;
const HEIGHT_MAX = Number.MAX_SAFE_INTEGER;

const base64 = (bytes: Bytes): string => Buffer.from(bytes).toString('base64');

function cbor(reply: FastifyReply, bytes: Bytes): Buffer {
  void reply.header('content-type', CBOR);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

const eventJson = ({ contract, topic, data }: LedgerEvent) => ({
  contract,
  topic,
  data: base64(data),
});

/** A receipt for people, and its exact bytes for programs. */
function finalReceiptJson({ receipt, height, index, timeUs }: FinalReceipt) {
  return {
    id: receipt.transaction,
    finality: 'final',
    height,
    index,
    timeUs,
    time: isoTime(timeUs),
    status: receipt.status,
    ...(receipt.code === undefined ? {} : { code: receipt.code, message: receipt.message }),
    ...(receipt.failedCall === undefined ? {} : { failedCall: receipt.failedCall }),
    fuelUsed: receipt.fuelUsed.toString(),
    fee: receipt.fee.toString(),
    events: receipt.events.map(eventJson),
    cbor: base64(encodeReceipt(receipt)),
  };
}

function noBlock({ node }: NodeContext, height: number) {
  const { firstHeight } = node.chain;
  if (height >= firstHeight)
    return ledgerError('LEDGER_NOT_FOUND', `there is no block ${height} yet`);
  return ledgerError(
    'LEDGER_BLOCK_NOT_KEPT',
    `no block ${height}: this node copied the state and has blocks from height ${firstHeight} on`,
  );
}

/** The chain as a whole, and transactions for it. */
function addChainRoutes(routes: FastifyInstance, context: NodeContext): void {
  const { node, ordering, consensus } = context;

  routes.get('/v1/status', async () => {
    const { genesis, head, id, limits } = node.chain;
    const { height, timeUs } = head.header;
    return {
      chain: genesis.chainName,
      genesis: id,
      height,
      head: head.hash,
      /** The first block that this node has. */
      firstHeight: node.chain.firstHeight,
      timeUs,
      time: isoTime(timeUs),
      ordering: { kind: ordering.kind, notice: ordering.notice },
      ...(consensus && { consensus: consensus.status() }),
      waiting: node.mempool.metrics.transactions,
      minimumFuelPrice: node.chain.fuelPrice(node.nowUs()).toString(),
      transactionFuel: limits.transactionFuel.toString(),
    };
  });

  routes.get('/v1/genesis', async (_request, reply) =>
    cbor(reply, encodeGenesis(node.chain.genesis)),
  );

  routes.post('/v1/transactions', async ({ body }, reply) => {
    if (!(body instanceof Uint8Array))
      throw platformError('HTTP_MEDIA_TYPE', `send a list of transactions as ${CBOR}`);
    const answers = await node.submit(decodeTransactionBatch(body));
    void reply.status(202);
    return {
      transactions: answers.map((answer) =>
        answer.ok
          ? { id: answer.id, accepted: true }
          : { id: answer.id ?? null, accepted: false, error: errorToProblem(answer.error) },
      ),
    };
  });

  routes.get<{ Params: { id: string }; Querystring: { waitMs?: string } }>(
    '/v1/transactions/:id',
    async ({ params, query }) => {
      const id = readHash(params.id, 'a transaction id');
      const waitMs = readWhole(query.waitMs, 'waitMs', { preset: 0, max: WAIT_MAX_MS });
      const final = await node.receipt(id, waitMs);
      if (final) return finalReceiptJson(final);
      if (node.mempool.has(id)) return { id, finality: 'pending' };
      const { firstHeight } = node.chain;
      const known = firstHeight > 0 ? `; receipts are known from block ${firstHeight} on` : '';
      throw ledgerError(
        'LEDGER_NOT_FOUND',
        `transaction ${id} is neither final nor waiting${known}`,
      );
    },
  );

  /** The order so far of what is not final: goes on without a quorum, and may still change. */
  routes.get<{ Querystring: { limit?: string } }>('/v1/tentative', async ({ query }) => {
    const limit = readWhole(query.limit, 'limit', { preset: 100, max: SCAN_MAX });
    return { blocks: consensus?.tentative(limit) ?? [] };
  });
}

/** Accounts and entries of contracts, and calls that only look. */
function addStateRoutes(routes: FastifyInstance, { node }: NodeContext): void {
  const views = createViewBudget();

  /** Runs a call on the last state and forgets what it did. */
  routes.post('/v1/call', async ({ body, ip }) => {
    if (!(body instanceof Uint8Array))
      throw platformError('HTTP_MEDIA_TYPE', `send the call as ${CBOR}`);
    const { call, origin } = decodeWith(viewRequest, body, { maxBytes: VIEW_MAX_BYTES });
    views.check(ip, performance.now());
    const { outcome, fuelUsed, events } = node.chain.viewCall(call, origin);
    views.charge(ip, performance.now(), fuelUsed);
    return {
      ...(outcome.ok
        ? { status: 'ok', result: base64(outcome.result) }
        : { status: outcome.status, code: outcome.code, message: outcome.message }),
      fuelUsed: fuelUsed.toString(),
      events: events.map(eventJson),
    };
  });

  routes.get<{ Params: { account: string } }>('/v1/accounts/:account', async ({ params }) => {
    const account = readAccount(params.account);
    const { balance, nonce } = node.chain.account(account);
    return {
      account: formatAccount(account),
      balance: balance.toString(),
      nonce,
      nextNonce: node.mempool.nextNonce(account),
    };
  });

  routes.get<{ Params: { contract: string; key: string }; Querystring: { proof?: string } }>(
    '/v1/state/:contract/:key',
    async ({ params, query }, reply) => {
      const { contract } = params;
      const key = readHex(params.key, 'key');
      const { chain } = node;
      if (query.proof === 'true') return cbor(reply, encodeStateProof(chain.prove(contract, key)));
      const value = chain.get(contract, key);
      if (value === undefined)
        throw ledgerError(
          'LEDGER_NOT_FOUND',
          `contract ${contract} holds nothing at ${params.key}`,
        );
      return cbor(reply, value);
    },
  );

  routes.get<{
    Params: { contract: string };
    Querystring: { prefix?: string; limit?: string; cursor?: string };
  }>('/v1/state/:contract', async ({ params, query }) => {
    const { prefix = '', cursor } = query;
    const limit = readWhole(query.limit, 'limit', { preset: 100, max: SCAN_MAX });
    const found = node.chain.scan(params.contract, readHex(prefix, 'prefix'), {
      limit,
      ...(cursor === undefined ? {} : { cursor: readHex(cursor, 'cursor') }),
    });
    const last = found.length === limit ? found.at(-1) : undefined;
    return {
      entries: found.map(([key, value]) => ({ key: bytesToHex(key), value: base64(value) })),
      /** Give it as `cursor` to go on; null at the end. */
      cursor: last ? bytesToHex(last[0]) : null,
    };
  });
}

function addBlockRoutes(routes: FastifyInstance, context: NodeContext): void {
  const { node, ordering, consensus, streams } = context;

  routes.get<{ Querystring: { from?: string } }>(
    '/v1/blocks/stream',
    async ({ query, headers }, reply) => {
      const seen = headers['last-event-id'];
      const preset = node.chain.head.header.height + 1;
      const start =
        typeof seen === 'string'
          ? readWhole(seen, 'Last-Event-ID', { preset, max: HEIGHT_MAX - 1 }) + 1
          : readWhole(query.from, 'from', { preset, max: HEIGHT_MAX });
      if (start < node.chain.firstHeight) throw noBlock(context, start);
      streams.checkRoom();
      reply.hijack();
      await streams.serve(reply.raw, start);
    },
  );

  /**
   * How strongly a block is final: with EDA the weight of liars that could not undo it; with `proof` what
   * shows that to who has the genesis.
   */
  routes.get<{ Params: { height: string }; Querystring: { proof?: string } }>(
    '/v1/blocks/:height/finality',
    async ({ params, query }, reply) => {
      const height = readWhole(params.height, 'height', { preset: 0, max: HEIGHT_MAX });
      const block = node.chain.block(height);
      if (!block) throw noBlock(context, height);
      const proof = consensus?.finalityProof(height);
      if (query.proof === 'true') {
        if (!proof)
          throw ledgerError('LEDGER_NOT_FOUND', `no attestation of block ${height} or later yet`);
        return cbor(reply, encodeFinalityProof(proof));
      }
      const attested = consensus?.strengthOf(height);
      const strength = consensus && {
        strength: attested?.weight ?? 0,
        checkpoint: attested?.height ?? null,
        provable: proof !== undefined,
      };
      const { kind } = ordering;
      return { height, ordering: kind, certificate: block.certificate.kind, ...strength };
    },
  );

  routes.get<{ Params: { height: string } }>('/v1/blocks/:height', async ({ params }, reply) => {
    const height = readWhole(params.height, 'height', { preset: 0, max: HEIGHT_MAX });
    const block = node.chain.block(height);
    if (!block) throw noBlock(context, height);
    void reply.header('cache-control', 'public, max-age=31536000, immutable');
    return cbor(reply, encodeBlock(block));
  });
}

export function addRoutes(routes: FastifyInstance, context: NodeContext): void {
  addChainRoutes(routes, context);
  addStateRoutes(routes, context);
  addBlockRoutes(routes, context);
}
