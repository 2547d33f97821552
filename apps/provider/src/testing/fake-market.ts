/** A market for tests of one provider: greets it, hands out leases, keeps what it hears. */
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import { LOG_START, type LogPosition, verifyBatch } from '#libs/audit';
import { verifySignature } from '#libs/crypto';
import {
  AGENT_FRAME_MAX_BYTES,
  type AgentMessage,
  type MarketMessage,
  type SavePointRef,
  decodeAgentMessage,
  encodeMarketMessage,
  helloProblem,
} from '#libs/market';

type Kind<K extends AgentMessage['kind']> = Extract<AgentMessage, { kind: K }>;

export const TEST_CHAIN = '7'.repeat(64);
const NONCE = '9'.repeat(64);
const ACCOUNT = '8'.repeat(64);

export interface FakeMarket {
  readonly url: string;
  readonly heard: readonly AgentMessage[];
  /** Position of each order's log, from batches that verified. */
  readonly logs: ReadonlyMap<string, LogPosition>;
  /** When false, deliveries are heard and not acknowledged. */
  acknowledges: boolean;
  send(message: MarketMessage): void;
  lease(change: {
    lease: string;
    order: string;
    manifest: string;
    fence?: number;
    savePoint?: SavePointRef;
  }): void;
  /** The first message of this kind (for this lease) that comes or came. */
  next<K extends AgentMessage['kind']>(kind: K, lease?: string): Promise<Kind<K>>;
  dropConnections(): void;
  close(): Promise<void>;
}

export async function startFakeMarket(): Promise<FakeMarket> {
  const server = new WebSocketServer({
    ...{ port: 0, host: '127.0.0.1', path: '/v1/agent', maxPayload: AGENT_FRAME_MAX_BYTES },
  });
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  const heard: AgentMessage[] = [];
  const logs = new Map<string, LogPosition>();
  const waiting = new Set<() => void>();
  let current: WebSocket | undefined;
  const send = (message: MarketMessage) => current?.send(encodeMarketMessage(message));

  const takeEvents = ({ lease, batch }: Kind<'events'>): void => {
    const before = logs.get(batch.job) ?? { length: 0, head: LOG_START };
    if ((batch.entries[0]?.seq ?? 0) >= before.length)
      logs.set(batch.job, verifyBatch(batch, batch.job, before, verifySignature));
    send({ kind: 'eventsSaved', lease, log: logs.get(batch.job) as LogPosition });
  };

  const market: FakeMarket = {
    url: `http://127.0.0.1:${port}`,
    ...{ heard, logs, acknowledges: true, send },
    lease: ({ lease, order, manifest, savePoint, fence = 1 }) =>
      send({
        kind: 'lease',
        ...{ lease, order, manifest, fence, price: 1_000_000_000n },
        log: logs.get(order) ?? { length: 0, head: LOG_START },
        ...(savePoint && { savePoint }),
        completeByUs: Date.now() * 1000 + 60_000_000,
      }),
    next: (kind, lease) =>
      new Promise((resolve) => {
        const look = () => {
          const found = heard.find(
            (message) =>
              message.kind === kind &&
              (lease === undefined || ('lease' in message && message.lease === lease)),
          );
          if (found === undefined) return;
          waiting.delete(look);
          resolve(found as never);
        };
        waiting.add(look);
        look();
      }),
    dropConnections: () => {
      for (const client of server.clients) client.terminate();
    },
    close: () =>
      new Promise((resolve) => {
        for (const client of server.clients) client.terminate();
        server.close(() => resolve());
      }),
  };

  server.on('connection', (socket) => {
    current = socket;
    const challenge = { nonce: NONCE, market: ACCOUNT };
    send({ kind: 'challenge', version: 1, ...challenge, chain: TEST_CHAIN });
    socket.on('message', (data: Buffer) => {
      const message = decodeAgentMessage(new Uint8Array(data));
      heard.push(message);
      if (message.kind === 'hello') {
        const problem = helloProblem(message, challenge, verifySignature);
        if (problem !== undefined) throw new Error(problem);
        send({ kind: 'welcome', heartbeatMs: 1_000, leaseMs: 5_000 });
      }
      if (message.kind === 'events') takeEvents(message);
      if (message.kind === 'deliver' && market.acknowledges)
        send({ kind: 'delivered', lease: message.lease, accepted: 'yes' });
      for (const look of waiting) look();
    });
  });
  return market;
}
