/**
 * The description file of an owner (YAML): what cannot be seen in the data, and the allow-list of what
 * becomes public. schemas/describe.schema.json is made from here.
 */
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { PUBLIC_PARTS } from '#libs/mdds';
import { dataError } from '../errors.ts';

const FILE_CHARS_MAX = 1024 * 1024;

const words = z.union([
  z.string().min(1).max(10_000),
  z.record(z.string().regex(/^[a-z]{2,3}(?:-[A-Za-z0-9]+)*$/), z.string().min(1).max(10_000)),
]);
const iri = z.string().regex(/^[a-z][a-z0-9+.-]*:[^\s<>"{}|\\^`]+$/i);
const decimalText = z.union([
  z.string().regex(/^\d+(?:\.\d{1,18})?$/),
  z.int().nonnegative().transform(String),
]);
const encryptionKey = z.string().regex(/^x25519:[0-9a-f]{64}$/);

const column = z.strictObject({
  visibility: z.enum(['public', 'private']).optional(),
  statistics: z.enum(['public', 'private']).optional(),
  datatype: z.string().min(1).max(40).optional(),
  semanticType: z.string().min(1).max(100).optional(),
  personalData: iri.optional(),
});

export const describeFile = z.strictObject({
  title: words.optional(),
  description: words.optional(),
  publisher: z.strictObject({ name: z.string().min(1).max(300) }).optional(),
  keywords: z.array(z.string().min(1).max(100)).max(100).optional(),
  themes: z
    .array(z.strictObject({ iri, label: z.string().min(1).max(200) }))
    .max(50)
    .optional(),
  contact: z
    .strictObject({ name: z.string().min(1).max(300), email: z.email().optional() })
    .optional(),
  temporal: z
    .strictObject({ start: z.iso.date().optional(), end: z.iso.date().optional() })
    .optional(),
  spatial: z
    .strictObject({
      west: z.number().min(-180).max(180),
      south: z.number().min(-90).max(90),
      east: z.number().min(-180).max(180),
      north: z.number().min(-90).max(90),
    })
    .optional(),
  offer: z
    .strictObject({
      price: decimalText,
      currency: iri.optional(),
      purpose: z.string().min(1).max(200).optional(),
      uses: z.int().positive().optional(),
    })
    .optional(),
  publish: z.array(z.enum(PUBLIC_PARTS)).optional(),
  columns: z.record(z.string().min(1).max(400), column).optional(),
  mode: z.enum(['ipfs', 'metadata-only']).optional(),
  recipients: z.array(encryptionKey).max(255).optional(),
  columnRecipients: z.record(z.string(), z.array(encryptionKey).max(255)).optional(),
});
export type DescribeFile = z.infer<typeof describeFile>;

/** @throws DATA_DESCRIPTION naming the place */
export function parseDescribeFile(text: string): DescribeFile {
  if (text.length > FILE_CHARS_MAX)
    throw dataError('DATA_DESCRIPTION', `the file is longer than ${FILE_CHARS_MAX} characters`);
  const document = parseDocument(text, {
    version: '1.2',
    schema: 'core',
    maxAliasCount: 0,
  } as object);
  const [fault] = document.errors;
  if (fault) throw dataError('DATA_DESCRIPTION', `not YAML: ${fault.message.split('\n')[0]}`);
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 0 });
  } catch (cause) {
    throw dataError('DATA_DESCRIPTION', `not YAML: ${(cause as Error).message}`, { cause });
  }
  const read = describeFile.safeParse(value ?? {});
  if (read.success) return read.data;
  const where = read.error.issues
    .slice(0, 3)
    .map(({ path, message }) => `${path.length === 0 ? 'the file' : path.join('.')}: ${message}`);
  throw dataError('DATA_DESCRIPTION', where.join('; '));
}

/** JSON Schema of the file, for editors: schemas/describe.schema.json. */
export function describeFileSchema(): object {
  return {
    $id: 'https://w3id.org/mdds/describe.schema.json',
    title: 'What is said about a dataset, and what of it is public',
    ...z.toJSONSchema(describeFile, { io: 'input' }),
  };
}
