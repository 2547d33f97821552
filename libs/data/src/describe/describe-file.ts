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
const iri = z
  .string()
  .regex(/^[a-z][a-z0-9+.-]*:[^\s<>"{}|\\^`]+$/i, 'an address such as https://example.org/x');
const decimalText = z.union([
  z
    .string()
    .regex(/^\d+(?:\.\d{1,18})?$/, 'a number with at most 18 digits after the point, as "120.50"'),
  z.int().nonnegative().transform(String),
]);
const encryptionKey = z
  .string()
  .regex(/^x25519:[0-9a-f]{64}$/, 'a key such as `seele storage key` prints (x25519:…)');

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

/** What stands at a place of the file, short enough for a message. */
function given(value: unknown, path: readonly PropertyKey[]): string {
  let at = value;
  for (const key of path) at = (at as Readonly<Record<PropertyKey, unknown>> | undefined)?.[key];
  const text = JSON.stringify(at) ?? 'nothing';
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

function faultOf(issue: z.core.$ZodIssue, value: unknown): string {
  const { path, message } = issue;
  const place = path.join('.');
  if (issue.code === 'unrecognized_keys') {
    const keys = issue.keys.map((key) => JSON.stringify(key)).join(', ');
    return `${place === '' ? 'at the top' : place}: nothing called ${keys} is known here`;
  }
  const wanted =
    issue.code === 'invalid_value' ? `one of ${issue.values.map(String).join(', ')}` : message;
  return `${place === '' ? 'the file' : place}: ${given(value, path)} where is wanted: ${wanted}`;
}

/**
 * @param file its name, for messages
 * @throws DATA_DESCRIPTION naming the place
 */
export function parseDescribeFile(text: string, file = 'the description'): DescribeFile {
  if (text.length > FILE_CHARS_MAX)
    throw dataError('DATA_DESCRIPTION', `${file} is longer than ${FILE_CHARS_MAX} characters`);
  const document = parseDocument(text, {
    version: '1.2',
    schema: 'core',
    maxAliasCount: 0,
  } as object);
  const [fault] = document.errors;
  if (fault)
    throw dataError(
      'DATA_DESCRIPTION',
      `${file} is not YAML: ${fault.message.split('\n')[0]?.replace(/:$/, '')}`,
    );
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 0 });
  } catch (cause) {
    throw dataError('DATA_DESCRIPTION', `${file} is not YAML: ${(cause as Error).message}`, {
      cause,
    });
  }
  const read = describeFile.safeParse(value ?? {});
  if (read.success) return read.data;
  const faults = read.error.issues.slice(0, 3).map((issue) => faultOf(issue, value));
  throw dataError('DATA_DESCRIPTION', `${file}: ${faults.join('; ')}`);
}

/** JSON Schema of the file, for editors: schemas/describe.schema.json. */
export function describeFileSchema(): object {
  return {
    $id: 'https://w3id.org/mdds/describe.schema.json',
    title: 'What is said about a dataset, and what of it is public',
    ...z.toJSONSchema(describeFile, { io: 'input' }),
  };
}
