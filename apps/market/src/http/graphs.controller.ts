import { Body, Controller, Inject, Post, Res, SerializeOptions, UseGuards } from '@nestjs/common';
import {
  ApiCreatedResponse,
  ApiOkResponse,
  ApiOperation,
  ApiSecurity,
  ApiTags,
} from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import type { AccountId } from '#libs/kernel';
import { ApiProblems } from './api-problems.ts';
import { orderToDocument } from './documents.ts';
import { MARKET_API, type MarketApi } from './market-api.ts';
import { type GraphRequest, graphDocument, graphRequest } from './schemas.ts';
import { SignedRequestGuard, Signer } from './signed-request.guard.ts';
import { refuseWhenCrowded, submissionOf } from './submissions.ts';

/** Orders that read each other's results. */
@ApiTags('orders')
@Controller('v1/graphs')
export class GraphsController {
  readonly #market: MarketApi;

  constructor(@Inject(MARKET_API) market: MarketApi) {
    this.#market = market;
  }

  @Post()
  @UseGuards(SignedRequestGuard)
  @ApiOperation({
    operationId: 'submitGraph',
    summary: 'Submit orders that read each other’s results',
    description:
      'All are taken or none. Idempotent by the ids of the orders: what is known already is answered ' +
      'as it stands, and 200 when nothing was new.',
  })
  @ApiSecurity('account')
  @ApiCreatedResponse({ standardSchema: graphDocument, description: 'Accepted and durable' })
  @ApiOkResponse({ standardSchema: graphDocument, description: 'Were accepted before' })
  @ApiProblems(400, 401, 402, 403, 409, 413, 429, 503)
  @SerializeOptions({ schema: graphDocument })
  async submit(
    @Body({ schema: graphRequest }) body: GraphRequest,
    @Signer() by: AccountId,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    refuseWhenCrowded(this.#market);
    const orders = body.orders.map((one) => submissionOf(one, by));
    const { views, repeated } = await this.#market.submitGraph(orders);
    if (repeated) reply.status(200);
    return { items: views.map(orderToDocument) };
  }
}
