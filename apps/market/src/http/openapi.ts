/** The OpenAPI 3.1 description of the market's API, made from the controllers and their zod schemas. */
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { z } from 'zod';
import { jobEventDocument, problemDocument } from './schemas.ts';

type JsonSchema = Record<string, unknown>;

/** Every schema with an id becomes a component and is referred to by name. */
function convertSchema(schema: unknown, { schemaType }: { schemaType: 'input' | 'output' }) {
  if (!(schema instanceof z.ZodType)) return undefined;
  const { $defs, $schema, ...converted } = z.toJSONSchema(schema, {
    target: 'draft-2020-12',
    io: schemaType,
    reused: 'inline',
  }) as JsonSchema & { $defs?: Record<string, JsonSchema> };
  void $schema;
  const { id } = converted as { id?: string };
  const components = { ...$defs };
  if (id === undefined) return { schema: converted, components };
  return { schema: { $ref: `#/$defs/${id}` }, components: { ...components, [id]: converted } };
}

/** `id` is a name to zod; in JSON Schema 2020-12 it is not a keyword. */
function withoutIds(document: OpenAPIObject): OpenAPIObject {
  for (const schema of Object.values(document.components?.schemas ?? {}))
    delete (schema as { id?: string }).id;
  return document;
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
  const { $schema: _problem, ...problem } = z.toJSONSchema(problemDocument);
  const { $schema: _event, ...event } = z.toJSONSchema(jobEventDocument);
  const schemas = { ...document.components?.schemas, Problem: problem, JobEvent: event };
  document.components = {
    ...document.components,
    schemas: schemas as NonNullable<NonNullable<OpenAPIObject['components']>['schemas']>,
  };
  return withoutIds(document);
}

/** Serves the description as a page at `/docs` and as JSON at `/docs/openapi.json`. */
export function serveOpenApi(app: NestFastifyApplication): void {
  const document = createOpenApi(app);
  SwaggerModule.setup('docs', app, document, {
    jsonDocumentUrl: 'docs/openapi.json',
    raw: ['json'],
    customSiteTitle: 'Seele market API',
  });
}
