import { type DynamicModule, Module } from '@nestjs/common';
import type { RequestVerifier } from '#libs/platform';
import type { Catalogue } from '../catalogue/catalogue.ts';
import { CATALOGUE, CatalogueController } from './catalogue.controller.ts';
import { MARKET_API, type MarketApi } from './market-api.ts';
import { MarketController } from './market.controller.ts';
import { GraphsController } from './graphs.controller.ts';
import { OrdersController } from './orders.controller.ts';
import { REQUEST_VERIFIER } from './signed-request.guard.ts';

/** The HTTP edge of a market. */
@Module({})
export class MarketModule {
  static over(market: MarketApi, verify: RequestVerifier, catalogue: Catalogue): DynamicModule {
    return {
      module: MarketModule,
      controllers: [OrdersController, GraphsController, MarketController, CatalogueController],
      providers: [
        { provide: MARKET_API, useValue: market },
        { provide: REQUEST_VERIFIER, useValue: verify },
        { provide: CATALOGUE, useValue: catalogue },
      ],
    };
  }
}
