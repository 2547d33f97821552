/** Asks the storage process to fetch content from another storage's gateway. */
import { ERROR_CODE_HEADER, toStorageError } from './kubo-errors.ts';
import { parseCid } from './cids.ts';
import { storageError } from './errors.ts';

export interface PullRequest {
  /** RPC of the own storage process and its token, as for `createKuboBlobStore`. */
  readonly url: string;
  readonly token?: string;
  /** Gateway of the storage that has it: an `http:` or `https:` URL. Not trusted. */
  readonly source: string;
  /** Default true. */
  readonly pin?: boolean;
  readonly signal?: AbortSignal;
  readonly progress?: (totals: PulledTotals) => void;
}

export interface PulledTotals {
  /** What was transferred; blocks that were here already are not. */
  readonly blocks: number;
  readonly bytes: number;
  readonly requests: number;
}

interface Line {
  /** On the last line, when it worked. */
  readonly Cid?: string;
  /** On the last line, when it did not: the code. */
  readonly Error?: string;
  readonly Message?: string;
  readonly Blocks: number;
  readonly Bytes: number;
  readonly Requests: number;
}

/** In the shape in which a refused call is reported. */
function failureOf({ Error: code = '', Message = '' }: Line): Error {
  const headers = new Headers({ [ERROR_CODE_HEADER]: code });
  return Object.assign(new Error(Message), { response: { status: 500, headers } });
}

/**
 * Everything that a CID reaches, verified, stored and pinned in the own storage. What came before a
 * failure stays; asking again goes on from there. Not a command of a real Kubo.
 *
 * @throws STORAGE_NOT_FOUND, STORAGE_CORRUPT, STORAGE_MALFORMED, STORAGE_UNAVAILABLE, STORAGE_FULL
 */
export async function pullContent(cid: string, request: PullRequest): Promise<PulledTotals> {
  const { url, token, source, pin = true, signal, progress } = request;
  const query = new URLSearchParams({
    arg: parseCid(cid).toString(),
    from: source,
    pin: String(pin),
  });
  try {
    const response = await fetch(
      `${url.replace(/\/+$/, '')}/api/v0/seele/pull?${query.toString()}`,
      {
        method: 'POST',
        headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
        ...(signal ? { signal } : {}),
      },
    );
    if (!response.ok || response.body === null) {
      const { Message } = (await response.json()) as { Message?: string };
      throw Object.assign(new Error(Message ?? ''), { response });
    }
    let held = '';
    for await (const part of response.body.pipeThrough(new TextDecoderStream())) {
      const lines = (held + part).split('\n');
      held = lines.pop() ?? '';
      for (const text of lines) {
        const line = JSON.parse(text) as Line;
        if (line.Error !== undefined) throw failureOf(line);
        const totals = { blocks: line.Blocks, bytes: line.Bytes, requests: line.Requests };
        if (line.Cid !== undefined) return totals;
        progress?.(totals);
      }
    }
  } catch (error) {
    throw toStorageError(error, url, signal);
  }
  throw storageError('STORAGE_FAILED', `${url} stopped before ${cid} was whole`);
}
