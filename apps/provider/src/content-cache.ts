/** Recently used code and manifests by CID. Content never changes under its CID, so nothing expires. */
import type { Bytes } from '#libs/kernel';

export interface ContentCache {
  /** From memory, or fetched once however many ask at the same time. */
  get(cid: string, fetch: () => Promise<Bytes>): Promise<Bytes>;
}

export function createContentCache(maxBytes: number): ContentCache {
  const kept = new Map<string, Bytes>();
  const fetching = new Map<string, Promise<Bytes>>();
  let keptBytes = 0;

  const keep = (cid: string, bytes: Bytes): void => {
    if (bytes.length > maxBytes) return;
    kept.set(cid, bytes);
    keptBytes += bytes.length;
    for (const [oldest, { length }] of kept) {
      if (keptBytes <= maxBytes) break;
      kept.delete(oldest);
      keptBytes -= length;
    }
  };

  return {
    get(cid, fetch) {
      const found = kept.get(cid);
      if (found !== undefined) {
        // To the end: the first in the map is the one unused for longest.
        kept.delete(cid);
        kept.set(cid, found);
        return Promise.resolve(found);
      }
      const running = fetching.get(cid);
      if (running !== undefined) return running;
      const started = fetch()
        .then((bytes) => {
          keep(cid, bytes);
          return bytes;
        })
        .finally(() => fetching.delete(cid));
      fetching.set(cid, started);
      return started;
    },
  };
}
