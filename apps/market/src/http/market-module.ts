import { type DynamicModule, Module } from '@nestjs/common';
import type { RequestVerifier } from '#libs/platform';
import type { Catalogue } from '../catalogue/catalogue.ts';
import { CATALOGUE, CatalogueController } from './catalogue.controller.ts';
import { MARKET_API, type MarketApi } from './market-api.ts';
import { MarketController } from './market.controller.ts';
import { GraphsController } from './graphs.controller.ts';
import { OrdersController } from './orders.controller.ts';
import type { Webhooks } from '../webhooks/webhooks.ts';
import { REQUEST_VERIFIER } from './signed-request.guard.ts';
import { WEBHOOKS, WebhooksController } from './webhooks.controller.ts';

/** The HTTP edge of a market. */
@Module({})
export class MarketModule {
  static over(
    market: MarketApi,
    verify: RequestVerifier,
    catalogue: Catalogue,
    webhooks: Webhooks,
  ): DynamicModule {
    return {
      module: MarketModule,
      controllers: [
        ...[OrdersController, GraphsController, MarketController],
        ...[CatalogueController, WebhooksController],
      ],
      providers: [
        { provide: MARKET_API, useValue: market },
        { provide: REQUEST_VERIFIER, useValue: verify },
        { provide: CATALOGUE, useValue: catalogue },
        { provide: WEBHOOKS, useValue: webhooks },
      ],
    };
  }
}
