import { Body, Controller, Get, HttpCode, Inject, Post, SerializeOptions } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { z } from 'zod';
import { formatAccount, parseUnits } from '#libs/kernel';
import { ApiProblems } from './api-problems.ts';
import { manifestFromDocument, providerToDocument, quoteToDocument } from './documents.ts';
import { MARKET_API, type MarketApi } from './market-api.ts';
import { providerListDocument, quoteDocument, quoteRequest, statusDocument } from './schemas.ts';

@ApiTags('market')
@Controller('v1')
export class MarketController {
  readonly #market: MarketApi;

  constructor(@Inject(MARKET_API) market: MarketApi) {
    this.#market = market;
  }

  @Post('quotes')
  @HttpCode(200)
  @ApiOperation({
    operationId: 'quote',
    summary: 'What a job would cost and when it would end',
    description:
      'Signed and binding for a minute: an order that passes `signed` is charged no more than the quoted ' +
      'price. A quote reserves nothing.',
  })
  @ApiOkResponse({ standardSchema: quoteDocument })
  @ApiProblems(400, 413, 429)
  @SerializeOptions({ schema: quoteDocument })
  quote(@Body({ schema: quoteRequest }) { manifest, priceCap }: z.infer<typeof quoteRequest>) {
    const cap = priceCap === undefined ? undefined : parseUnits(priceCap);
    return quoteToDocument(this.#market.quote(manifestFromDocument(manifest), cap));
  }

  @Get('providers')
  @ApiOperation({ operationId: 'listProviders', summary: 'Providers this market knows' })
  @ApiOkResponse({ standardSchema: providerListDocument })
  @ApiProblems(429)
  @SerializeOptions({ schema: providerListDocument })
  providers() {
    return { items: this.#market.providers().map(providerToDocument) };
  }

  @Get('status')
  @ApiOperation({ operationId: 'status', summary: 'Who this market is and where it stands' })
  @ApiOkResponse({ standardSchema: statusDocument })
  @ApiProblems(429)
  @SerializeOptions({ schema: statusDocument })
  status() {
    const { market, ...facts } = this.#market.status();
    return { ...facts, market: formatAccount(market) };
  }
}
