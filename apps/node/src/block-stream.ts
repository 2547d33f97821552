/**
 * Blocks as server-sent events, from any height on, without a gap: blocks are read from the store one
 * after the other; only at the head does the stream wait.
 */
import type { ServerResponse } from 'node:http';
import { once } from 'node:events';
import { encodeWith, hasCode } from '#libs/kernel';
import { blockWithReceipts, ledgerError } from '#libs/ledger';
import type { NodeService } from './node-service.ts';

const KEEP_ALIVE_MS = 15_000;
/** Messages of recent blocks, shared by all streams. */
const RECENT_MAX = 8;

export interface BlockStreams {
  /** @throws LEDGER_POOL_FULL when as many streams as allowed are open */
  checkRoom(): void;
  /** Serves until the client leaves or the node stops. */
  serve(response: ServerResponse, fromHeight: number): Promise<void>;
  close(): void;
}

export function createBlockStreams(node: NodeService, streamsMax: number): BlockStreams {
  const stopping = new AbortController();
  const recent = new Map<number, string>();
  let open = 0;

  const messageOf = (height: number): string => {
    const known = recent.get(height);
    if (known !== undefined) return known;
    const block = node.chain.block(height);
    const receipts = node.chain.receipts(height);
    if (!block || !receipts) throw ledgerError('LEDGER_NOT_FOUND', `block ${height} is not stored`);
    const cbor = Buffer.from(encodeWith(blockWithReceipts, { block, receipts })).toString('base64');
    const message = `id: ${height}\nevent: block\ndata: ${JSON.stringify({ height, cbor })}\n\n`;
    recent.set(height, message);
    if (recent.size > RECENT_MAX) recent.delete(recent.keys().next().value as number);
    return message;
  };

  const pump = async (
    response: ServerResponse,
    fromHeight: number,
    signal: AbortSignal,
  ): Promise<void> => {
    for (let height = fromHeight; !signal.aborted;) {
      if (height > node.chain.head.header.height) {
        await node.blockAfter(height - 1, signal);
        continue;
      }
      if (!response.write(messageOf(height))) await once(response, 'drain', { signal });
      height++;
    }
  };

  return {
    checkRoom() {
      if (open >= streamsMax)
        throw ledgerError('LEDGER_POOL_FULL', `${streamsMax} block streams are open already`);
    },
    async serve(response, fromHeight) {
      open++;
      const gone = new AbortController();
      response.once('close', () => gone.abort());
      const keepAlive = setInterval(() => response.write(': still here\n\n'), KEEP_ALIVE_MS);
      try {
        response.writeHead(200, {
          'content-type': 'text/event-stream',
          'cache-control': 'no-store',
          'x-accel-buffering': 'no',
        });
        response.write(': blocks\n\n');
        await pump(response, fromHeight, AbortSignal.any([gone.signal, stopping.signal]));
      } catch (error) {
        // The client left while its buffer was full: nothing to answer any more.
        if (
          !(error instanceof Error && error.name === 'AbortError') &&
          !hasCode(error, 'LEDGER_NOT_FOUND')
        )
          throw error;
      } finally {
        open--;
        clearInterval(keepAlive);
        response.end();
      }
    },
    close: () => stopping.abort(),
  };
}
