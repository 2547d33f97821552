import {
  Body,
  Controller,
  Get,
  Headers,
  HttpCode,
  Inject,
  Param,
  Post,
  Query,
  Req,
  Res,
  SerializeOptions,
  UseGuards,
} from '@nestjs/common';
import {
  ApiCreatedResponse,
  ApiOkResponse,
  ApiOperation,
  ApiParam,
  ApiProduces,
  ApiSecurity,
  ApiTags,
} from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Readable } from 'node:stream';
import { cryptoError } from '#libs/crypto';
import type { AccountId } from '#libs/kernel';
import { type OrderView, marketError } from '#libs/market';
import { platformError } from '#libs/platform';
import { marketAppError } from '../errors.ts';
import { accountFromText, orderToDocument, whyToDocument } from './documents.ts';
import { streamJobEvents } from './event-stream.ts';
import { MARKET_API, type MarketApi } from './market-api.ts';
import { ApiProblems } from './api-problems.ts';
import {
  type OrderListQuery,
  type OrderRequest,
  type ReceiptQuery,
  orderDocument,
  orderIdParameter,
  orderListDocument,
  orderListQuery,
  orderRequest,
  receiptQuery,
} from './schemas.ts';
import { whyDocument } from './why-schema.ts';
import { refuseWhenCrowded, submissionOf } from './submissions.ts';
import {
  OptionallySignedGuard,
  Signatory,
  SignedRequestGuard,
  Signer,
} from './signed-request.guard.ts';

/** A receipt is canonical CBOR. */
const RECEIPT_MEDIA_TYPE = 'application/cbor';

const ORDER_ID = {
  name: 'id',
  description: 'Order id',
  schema: { type: 'string', pattern: '^[0-9a-f]{64}$' },
} as const;

const positionOf = (view: OrderView): string => `${view.acceptedAtUs}-${view.id}`;

function readCursor(cursor: string | undefined) {
  if (cursor === undefined) return undefined;
  const [acceptedAtUs = '0', id = ''] = cursor.split('-');
  return { acceptedAtUs: Number(acceptedAtUs), id };
}

@ApiTags('orders')
@Controller('v1/orders')
export class OrdersController {
  readonly #market: MarketApi;

  constructor(@Inject(MARKET_API) market: MarketApi) {
    this.#market = market;
  }

  async #view(id: string): Promise<OrderView> {
    const view = await this.#market.order(id);
    if (view === undefined) throw marketError('MARKET_ORDER_UNKNOWN', `there is no order ${id}`);
    return view;
  }

  /** An order as its parties may see it: others learn its state, not what it said and made. */
  async #own(id: string, by: AccountId | undefined): Promise<OrderView> {
    const view = await this.#view(id);
    if (!this.#market.isPrivate || by === view.consumer || by === view.provider) return view;
    if (by === undefined)
      throw cryptoError('HTTP_SIGNATURE_MISSING', `what order ${id} said and made is its parties'`);
    throw platformError('HTTP_FORBIDDEN', `order ${id} is of another account than the request`);
  }

  @Post()
  @UseGuards(SignedRequestGuard)
  @ApiOperation({
    operationId: 'submitOrder',
    summary: 'Submit a signed order and its manifest',
    description:
      'Idempotent by the order id: the same order again answers 200 with what became of it.',
  })
  @ApiSecurity('account')
  @ApiCreatedResponse({ standardSchema: orderDocument, description: 'Accepted and durable' })
  @ApiOkResponse({ standardSchema: orderDocument, description: 'Was accepted before' })
  @ApiProblems(400, 401, 402, 409, 413, 429, 503)
  @SerializeOptions({ schema: orderDocument })
  async submit(
    @Body({ schema: orderRequest }) body: OrderRequest,
    @Signer() by: AccountId,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    refuseWhenCrowded(this.#market);
    const { order, manifest, quote } = submissionOf(body, by);
    const { view, repeated } = await this.#market.submit(order, manifest, quote);
    if (repeated) reply.status(200);
    return orderToDocument(view);
  }

  @Get()
  @UseGuards(OptionallySignedGuard)
  @ApiOperation({
    operationId: 'listOrders',
    summary: 'List orders, newest first',
    description: 'A signed request without a filter lists the orders of its account.',
  })
  @ApiOkResponse({ standardSchema: orderListDocument })
  @ApiProblems(400, 401, 429)
  @SerializeOptions({ schema: orderListDocument })
  async list(
    @Query({ schema: orderListQuery }) query: OrderListQuery,
    @Signatory() by: AccountId | undefined,
  ) {
    const { consumer, provider, status, limit } = query;
    const before = readCursor(query.cursor);
    const own = consumer === undefined && provider === undefined ? by : undefined;
    const wanted = consumer === undefined ? own : accountFromText(consumer);
    const views = await this.#market.orders({
      limit,
      ...(wanted !== undefined && { consumer: wanted }),
      ...(provider !== undefined && { provider: accountFromText(provider) }),
      ...(status !== undefined && { status }),
      ...(before && { before }),
    });
    const last = views.length === limit ? views.at(-1) : undefined;
    return { items: views.map(orderToDocument), ...(last && { next: positionOf(last) }) };
  }

  @Get(':id')
  @ApiOperation({ operationId: 'getOrder', summary: 'One order' })
  @ApiParam(ORDER_ID)
  @ApiOkResponse({ standardSchema: orderDocument })
  @ApiProblems(400, 404, 429)
  @SerializeOptions({ schema: orderDocument })
  async one(@Param('id', { schema: orderIdParameter }) id: string) {
    return orderToDocument(await this.#view(id));
  }

  @Post(':id/cancel')
  @HttpCode(200)
  @UseGuards(SignedRequestGuard)
  @ApiOperation({
    operationId: 'cancelOrder',
    summary: 'Cancel an own order; what was not earned is given back',
  })
  @ApiSecurity('account')
  @ApiParam(ORDER_ID)
  @ApiOkResponse({ standardSchema: orderDocument })
  @ApiProblems(400, 401, 403, 404, 409, 429)
  @SerializeOptions({ schema: orderDocument })
  async cancel(@Param('id', { schema: orderIdParameter }) id: string, @Signer() by: AccountId) {
    await this.#view(id);
    return orderToDocument(await this.#market.cancel(id, by));
  }

  @Get(':id/events')
  @UseGuards(OptionallySignedGuard)
  @ApiOperation({
    operationId: 'followOrder',
    summary: 'Follow a job live (server-sent events)',
    description:
      'Each event has the place of its log entry as id; Last-Event-ID resumes after it. A follower ' +
      'far behind gets an event `snapshot` (the order) and goes on from there. Ends with event `end`.',
  })
  @ApiParam(ORDER_ID)
  @ApiProduces('text/event-stream')
  @ApiOkResponse({ schema: { type: 'string' } })
  @ApiProblems(400, 401, 403, 404, 429, 503)
  async events(
    @Param('id', { schema: orderIdParameter }) id: string,
    @Signatory() by: AccountId | undefined,
    @Headers('last-event-id') lastEventId: string | undefined,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    await this.#own(id, by);
    await streamJobEvents(this.#market, id, lastEventId, request, reply);
  }

  @Get(':id/why')
  @UseGuards(OptionallySignedGuard)
  @ApiOperation({
    operationId: 'explainOrder',
    summary: 'Why an order waits, and every decision about it with its inputs',
  })
  @ApiParam(ORDER_ID)
  @ApiOkResponse({ standardSchema: whyDocument })
  @ApiProblems(400, 401, 403, 404, 429)
  @SerializeOptions({ schema: whyDocument })
  async why(
    @Param('id', { schema: orderIdParameter }) id: string,
    @Signatory() by: AccountId | undefined,
  ) {
    await this.#own(id, by);
    return whyToDocument(await this.#market.why(id));
  }

  @Get(':id/result')
  @UseGuards(OptionallySignedGuard)
  @ApiOperation({ operationId: 'getResult', summary: 'The output of a finished job' })
  @ApiParam(ORDER_ID)
  @ApiProduces('application/octet-stream')
  @ApiOkResponse({ schema: { type: 'string', format: 'binary' } })
  @ApiProblems(400, 401, 403, 404, 409, 429, 503)
  async result(
    @Param('id', { schema: orderIdParameter }) id: string,
    @Signatory() by: AccountId | undefined,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const { result, status } = await this.#own(id, by);
    if (result === undefined)
      throw marketAppError('MARKET_NOT_READY', `order ${id} is ${status} and has no result`);
    const bytes = this.#market.result(result)[Symbol.asyncIterator]();
    // The first bytes decide about the status: a missing blob is still a problem document.
    const first = await bytes.next();
    const rest = async function* () {
      if (first.done !== true) yield first.value;
      yield* { [Symbol.asyncIterator]: () => bytes };
    };
    await reply
      .header('content-type', 'application/octet-stream')
      .header('x-content-cid', result)
      .header('content-security-policy', "default-src 'none'; sandbox")
      .send(Readable.from(rest()));
  }

  @Get(':id/receipt')
  @UseGuards(OptionallySignedGuard)
  @ApiOperation({
    operationId: 'getReceipt',
    summary: 'The receipt: one file that proves offline what ran and what it cost',
  })
  @ApiParam(ORDER_ID)
  @ApiProduces(RECEIPT_MEDIA_TYPE)
  @ApiOkResponse({ schema: { type: 'string', format: 'binary' } })
  @ApiProblems(400, 401, 403, 404, 409, 410, 429, 503)
  async receipt(
    @Param('id', { schema: orderIdParameter }) id: string,
    @Query({ schema: receiptQuery }) { task }: ReceiptQuery,
    @Signatory() by: AccountId | undefined,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    await this.#own(id, by);
    const receipt = await this.#market.receipt(id, task);
    await reply
      .header('content-type', RECEIPT_MEDIA_TYPE)
      .header(
        'content-disposition',
        `attachment; filename="${id.slice(0, 16)}${task === undefined ? '' : `-${task}`}.seele"`,
      )
      .send(Buffer.from(receipt));
  }
}
