import type { Bytes } from '#libs/kernel';
import { CID } from 'multiformats/cid';

/**
 * `block/put` of one block in one piece. kubo-rpc-client sends it as a stream, which the fetch below
 * it copies and chunks again: several times the price of the whole call for a block of 1 MiB.
 *
 * @throws an Error with `response`, as kubo-rpc-client does, when it is answered but refused
 */
export async function sendBlock(
  url: string,
  headers: Readonly<Record<string, string>>,
  block: { readonly cid: CID; readonly bytes: Bytes },
  signal: AbortSignal,
): Promise<CID> {
  const { cid, bytes } = block;
  const boundary = cid.toString(); // no content can hold its own hash
  const response = await fetch(url, {
    method: 'POST',
    headers: { ...headers, 'content-type': `multipart/form-data; boundary=${boundary}` },
    body: Buffer.concat([
      Buffer.from(
        `--${boundary}\r\nContent-Disposition: form-data; name="data"; filename="data"\r\n` +
          'Content-Type: application/octet-stream\r\n\r\n',
      ),
      bytes,
      Buffer.from(`\r\n--${boundary}--\r\n`),
    ]),
    signal,
  });
  const text = await response.text();
  let answer: { Key?: unknown; Message?: unknown } = {};
  try {
    answer = JSON.parse(text) as typeof answer;
  } catch {
    // A proxy may answer in its own words; the status says enough.
  }
  if (!response.ok) {
    const message = typeof answer.Message === 'string' ? answer.Message : text.slice(0, 200);
    throw Object.assign(new Error(message), { response });
  }
  return CID.parse(String(answer.Key));
}
