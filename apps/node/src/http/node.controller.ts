import {
  Body,
  Controller,
  Get,
  Header,
  HttpCode,
  Param,
  Post,
  Query,
  Req,
  Res,
} from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
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
import { NodeContext } from './node-context.ts';
import { createViewBudget } from './view-budget.ts';
import { isoTime, readAccount, readHash, readHex, readWhole } from './requests.ts';

const CBOR = 'application/cbor';
const VIEW_MAX_BYTES = 128 * 1024;
const WAIT_MAX_MS = 30_000;
const SCAN_MAX = 1_000;
const HEIGHT_MAX = Number.MAX_SAFE_INTEGER;

const base64 = (bytes: Bytes): string => Buffer.from(bytes).toString('base64');

function sendCbor(reply: FastifyReply, bytes: Bytes): void {
  void reply.header('content-type', CBOR).send(Buffer.from(bytes));
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

@Controller('v1')
export class NodeController {
  readonly #context: NodeContext;
  readonly #views = createViewBudget();

  constructor(context: NodeContext) {
    this.#context = context;
  }

  @Get('status')
  status() {
    const { node, ordering, consensus } = this.#context;
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
  }

  @Get('genesis')
  genesis(@Res() reply: FastifyReply) {
    sendCbor(reply, encodeGenesis(this.#context.node.chain.genesis));
  }

  @Post('transactions')
  @HttpCode(202)
  async submit(@Body() body: unknown) {
    if (!(body instanceof Uint8Array))
      throw platformError('HTTP_MEDIA_TYPE', `send a list of transactions as ${CBOR}`);
    const answers = await this.#context.node.submit(decodeTransactionBatch(body));
    return {
      transactions: answers.map((answer) =>
        answer.ok
          ? { id: answer.id, accepted: true }
          : { id: answer.id ?? null, accepted: false, error: errorToProblem(answer.error) },
      ),
    };
  }

  @Get('transactions/:id')
  async transaction(@Param('id') idText: string, @Query('waitMs') wait?: string) {
    const id = readHash(idText, 'a transaction id');
    const waitMs = readWhole(wait, 'waitMs', { preset: 0, max: WAIT_MAX_MS });
    const { node } = this.#context;
    const final = await node.receipt(id, waitMs);
    if (final) return finalReceiptJson(final);
    if (node.mempool.has(id)) return { id, finality: 'pending' };
    const { firstHeight } = node.chain;
    const known = firstHeight > 0 ? `; receipts are known from block ${firstHeight} on` : '';
    throw ledgerError('LEDGER_NOT_FOUND', `transaction ${id} is neither final nor waiting${known}`);
  }

  /** Runs a call on the last state and forgets what it did. */
  @Post('call')
  @HttpCode(200)
  call(@Body() body: unknown, @Req() request: FastifyRequest) {
    if (!(body instanceof Uint8Array))
      throw platformError('HTTP_MEDIA_TYPE', `send the call as ${CBOR}`);
    const { call, origin } = decodeWith(viewRequest, body, { maxBytes: VIEW_MAX_BYTES });
    this.#views.check(request.ip, performance.now());
    const { outcome, fuelUsed, events } = this.#context.node.chain.viewCall(call, origin);
    this.#views.charge(request.ip, performance.now(), fuelUsed);
    return {
      ...(outcome.ok
        ? { status: 'ok', result: base64(outcome.result) }
        : { status: outcome.status, code: outcome.code, message: outcome.message }),
      fuelUsed: fuelUsed.toString(),
      events: events.map(eventJson),
    };
  }

  @Get('accounts/:account')
  account(@Param('account') text: string) {
    const account = readAccount(text);
    const { node } = this.#context;
    const { balance, nonce } = node.chain.account(account);
    return {
      account: formatAccount(account),
      balance: balance.toString(),
      nonce,
      nextNonce: node.mempool.nextNonce(account),
    };
  }

  @Get('state/:contract/:key')
  entry(
    @Param('contract') contract: string,
    @Param('key') keyText: string,
    @Query('proof') proof: string | undefined,
    @Res() reply: FastifyReply,
  ) {
    const key = readHex(keyText, 'key');
    const { chain } = this.#context.node;
    if (proof === 'true') {
      sendCbor(reply, encodeStateProof(chain.prove(contract, key)));
      return;
    }
    const value = chain.get(contract, key);
    if (value === undefined)
      throw ledgerError('LEDGER_NOT_FOUND', `contract ${contract} holds nothing at ${keyText}`);
    sendCbor(reply, value);
  }

  @Get('state/:contract')
  entries(
    @Param('contract') contract: string,
    @Query('prefix') prefix = '',
    @Query('limit') limitText?: string,
    @Query('cursor') cursor?: string,
  ) {
    const limit = readWhole(limitText, 'limit', { preset: 100, max: SCAN_MAX });
    const found = this.#context.node.chain.scan(contract, readHex(prefix, 'prefix'), {
      limit,
      ...(cursor === undefined ? {} : { cursor: readHex(cursor, 'cursor') }),
    });
    const last = found.length === limit ? found.at(-1) : undefined;
    return {
      entries: found.map(([key, value]) => ({ key: bytesToHex(key), value: base64(value) })),
      /** Give it as `cursor` to go on; null at the end. */
      cursor: last ? bytesToHex(last[0]) : null,
    };
  }

  @Get('blocks/stream')
  async stream(
    @Query('from') from: string | undefined,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ) {
    const { node, streams } = this.#context;
    const seen = request.headers['last-event-id'];
    const preset = node.chain.head.header.height + 1;
    const start =
      typeof seen === 'string'
        ? readWhole(seen, 'Last-Event-ID', { preset, max: HEIGHT_MAX - 1 }) + 1
        : readWhole(from, 'from', { preset, max: HEIGHT_MAX });
    if (start < node.chain.firstHeight) throw noBlock(this.#context, start);
    streams.checkRoom();
    reply.hijack();
    await streams.serve(reply.raw, start);
  }

  /** The order so far of what is not final: goes on without a quorum, and may still change. */
  @Get('tentative')
  tentative(@Query('limit') limitText?: string) {
    const limit = readWhole(limitText, 'limit', { preset: 100, max: SCAN_MAX });
    return { blocks: this.#context.consensus?.tentative(limit) ?? [] };
  }

  /**
   * How strongly a block is final: with EDA the weight of liars that could not undo it; with `proof` what
   * shows that to who has the genesis.
   */
  @Get('blocks/:height/finality')
  finality(
    @Param('height') text: string,
    @Query('proof') proof: string | undefined,
    @Res() reply: FastifyReply,
  ) {
    const height = readWhole(text, 'height', { preset: 0, max: HEIGHT_MAX });
    const { node, ordering, consensus } = this.#context;
    const block = node.chain.block(height);
    if (!block) throw noBlock(this.#context, height);
    if (proof === 'true') {
      const found = consensus?.finalityProof(height);
      if (!found)
        throw ledgerError('LEDGER_NOT_FOUND', `no attestation of block ${height} or later yet`);
      sendCbor(reply, encodeFinalityProof(found));
      return;
    }
    const attested = consensus?.strengthOf(height);
    const strength = consensus && {
      strength: attested?.weight ?? 0,
      checkpoint: attested?.height ?? null,
      provable: consensus.finalityProof(height) !== undefined,
    };
    const { kind } = ordering;
    void reply.send({ height, ordering: kind, certificate: block.certificate.kind, ...strength });
  }

  @Get('blocks/:height')
  @Header('cache-control', 'public, max-age=31536000, immutable')
  block(@Param('height') text: string, @Res() reply: FastifyReply) {
    const height = readWhole(text, 'height', { preset: 0, max: HEIGHT_MAX });
    const block = this.#context.node.chain.block(height);
    if (!block) throw noBlock(this.#context, height);
    sendCbor(reply, encodeBlock(block));
  }
}
