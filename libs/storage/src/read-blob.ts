import { concatBytes, type Bytes } from '#libs/kernel';

import type { BlobStore, GetOptions } from './blob-store.ts';

/** Reads a whole blob into memory. The limit is not optional: the content may be anybody's. */
export async function readBlob(
  store: Pick<BlobStore, 'get'>,
  cid: string,
  options: GetOptions & { readonly maxBytes: number },
): Promise<Bytes> {
  const parts: Bytes[] = [];
  for await (const part of store.get(cid, options)) parts.push(part);
  return parts.length === 1 ? (parts[0] as Bytes) : concatBytes(...parts);
}
