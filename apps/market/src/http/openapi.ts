/** The OpenAPI 3.1 description of the market's API, made from the controllers and their zod schemas. */
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { z } from 'zod';
import { jobEventDocument, problemDocument } from './schemas.ts';
import { webhookEventDocument } from './webhook-schemas.ts';

type JsonSchema = Record<string, unknown>;

/** Every schema with an id becomes a component and is referred to by name. */
function convertSchema(schema: unknown, { schemaType }: { schemaType: 'input' | 'output' }) {
  if (!(schema instanceof z.ZodType)) return undefined;
  const converted = z.toJSONSchema(schema, { io: schemaType }) as JsonSchema;
  const { $defs, $schema: _dialect, ...rest } = converted;
  return { schema: rest, components: ($defs ?? {}) as Record<string, JsonSchema> };
}

/** Schemas that no route's body or answer names, but its description does. */
function furtherSchemas(): Record<string, JsonSchema> {
  return Object.assign(
    {},
    ...[problemDocument, jobEventDocument, webhookEventDocument].map(
      (schema) => z.toJSONSchema(schema).$defs,
    ),
  ) as Record<string, JsonSchema>;
}

export function createOpenApi(app: NestFastifyApplication): OpenAPIObject {
  const description = new DocumentBuilder()
    .setTitle('Seele market')
    .setDescription(
      'Quotes, orders, live job events, results and receipts. Requests that change something carry ' +
        'an HTTP message signature (RFC 9421) of an account key over @method, @target-uri and ' +
        'content-digest, with created, expires, nonce, keyid and alg="ed25519". Errors are RFC 9457 ' +
        'problem details with a stable `code` and a `fix`.',
    )
    .setVersion('1')
    .setOpenAPIVersion('3.1.0')
    .setLicense('Apache-2.0', 'https://www.apache.org/licenses/LICENSE-2.0')
    .addSecurity('account', {
      type: 'apiKey',
      in: 'header',
      name: 'signature',
      description: 'HTTP message signature (RFC 9421) of an account key',
    })
    .build();
  const document = SwaggerModule.createDocument(app, description, {
    standardSchemaConverter: convertSchema,
  });
  const schemas = { ...document.components?.schemas, ...furtherSchemas() };
  document.components = {
    ...document.components,
    schemas,
  };
  return document;
}

/**
 * Serves the description as a page at `/docs` and as JSON at `/docs/openapi.json`. It is made when it is
 * first asked for: it takes some tenths of a second, which a market that starts again has better uses for.
 */
export function serveOpenApi(app: NestFastifyApplication): void {
  SwaggerModule.setup('docs', app, () => createOpenApi(app), {
    jsonDocumentUrl: 'docs/openapi.json',
    raw: ['json'],
    customSiteTitle: 'Seele market API',
  });
}
