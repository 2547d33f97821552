/** `seele/pull`: content from another storage's gateway. Not a command of Kubo. */
import { isSeeleError } from '#libs/kernel';
import { parseCid } from '#libs/storage';

import { walkDag } from '../../dag/links.ts';
import { rpcError } from '../../errors.ts';
import { pull, type PullTotals } from '../../transfer/pull.ts';
import type { Call } from '../call.ts';

const TELL_EVERY_BYTES = 4 * 1024 * 1024;
const IDLE_TIMEOUT_MS = 20_000;

function sourceOf(text: string | undefined): URL {
  const source = text !== undefined && URL.canParse(text) ? new URL(text) : undefined;
  if (source !== undefined && /^https?:$/.test(source.protocol)) return source;
  throw rpcError('STORAGE_RPC_ARGUMENT', 'from is the http URL of a gateway');
}

export async function seelePull(call: Call): Promise<void> {
  const { parameters, node, reply, signal } = call;
  const root = parseCid(parameters.arg());
  const source = sourceOf(parameters.text('from'));
  const pin = parameters.flag('pin', true);
  const session = node.session();
  let told = 0;
  const line = ({ blocks, bytes, requests }: PullTotals) => ({
    Blocks: blocks,
    Bytes: bytes,
    Requests: requests,
  });
  try {
    const totals = await pull(root, {
      store: node.store,
      session,
      source,
      signal,
      idleTimeoutMs: IDLE_TIMEOUT_MS,
      async progress(now) {
        if (now.bytes - told < TELL_EVERY_BYTES) return;
        told = now.bytes;
        await reply.line(line(now));
      },
    });
    for await (const _ of walkDag(session, root, signal)); // present and whole before it is pinned
    await session.commit(pin ? { cid: root, type: 'recursive' } : undefined);
    await reply.line({ Cid: root.toString(), ...line(totals) });
    reply.endLines();
  } catch (error) {
    // After lines of progress a status can no longer say it: a line does.
    if (!reply.started || !isSeeleError(error)) throw error;
    await reply.line({ Error: error.code, Message: error.message });
    reply.endLines();
  } finally {
    await session.end();
  }
}
