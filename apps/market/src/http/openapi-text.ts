/** The API description as it is checked in: made without a running market. */
import {
  createHealth,
  createHttpApp,
  createLogger,
  createMetrics,
  platformError,
} from '#libs/platform';
import { noCatalogue } from '../catalogue/catalogue.ts';
import type { MarketApi } from './market-api.ts';
import { MarketModule } from './market-module.ts';
import type { Webhooks } from '../webhooks/webhooks.ts';
import { createOpenApi } from './openapi.ts';

/** Stands in for the market where routes are described and never called. */
const nobody = {} as MarketApi & Webhooks;

export async function marketOpenApiText(): Promise<string> {
  const app = await createHttpApp({
    module: MarketModule.over(
      nobody,
      () => {
        throw platformError('HTTP_INTERNAL', 'described, not running');
      },
      noCatalogue(),
      nobody,
    ),
    logger: createLogger({ name: 'openapi', level: 'silent' }),
    health: createHealth(),
    metrics: createMetrics('openapi'),
  });
  try {
    return `${JSON.stringify(createOpenApi(app), null, 2)}\n`;
  } finally {
    await app.close();
  }
}
