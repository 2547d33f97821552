/**
 * Cuts a stream into chunks of one length, copying each byte once. An empty stream is one empty
 * chunk, as for every importer of UnixFS.
 */
export function cutInto(chunkBytes: number) {
  return async function* (source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    let chunk = Buffer.allocUnsafeSlow(0);
    let filled = 0;
    let emitted = false;
    for await (const bytes of source) {
      for (let at = 0; at < bytes.length;) {
        if (filled === chunk.length) {
          if (filled > 0) {
            yield chunk;
            emitted = true;
          }
          // A short stream must not cost a whole chunk of memory.
          const isFirst = chunk.length === 0 && !emitted;
          chunk = Buffer.allocUnsafeSlow(isFirst ? Math.min(chunkBytes, 65_536) : chunkBytes);
          filled = 0;
        }
        const length = Math.min(chunk.length - filled, bytes.length - at);
        chunk.set(bytes.subarray(at, at + length), filled);
        filled += length;
        at += length;
        if (filled < chunk.length || chunk.length === chunkBytes) continue;
        const larger = Buffer.allocUnsafeSlow(Math.min(chunkBytes, 4 * chunk.length));
        larger.set(chunk);
        chunk = larger;
      }
    }
    if (filled > 0 || !emitted) yield chunk.subarray(0, filled);
  };
}
