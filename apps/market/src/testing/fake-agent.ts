/** A provider's agent without a sandbox: real WebSocket, real signatures, instant work. */
import { WebSocket } from 'ws';
import { DELIVERY_DOMAIN, type SignedDelivery, deliveryBytes } from '#contracts';
import type { Signer } from '#libs/crypto';
import {
  type AgentMessage,
  type MarketMessage,
  type ProviderOffer,
  decodeMarketMessage,
  encodeAgentMessage,
  signHello,
} from '#libs/market';

export type LeaseMessage = Extract<MarketMessage, { kind: 'lease' }>;

export interface FakeAgentOptions {
  readonly url: string;
  readonly chain: string;
  readonly signer: Signer;
  readonly offer?: Partial<ProviderOffer>;
  /** What to do with a lease; by default accept it and deliver `result`. */
  readonly onLease?: (agent: FakeAgent, lease: LeaseMessage) => void;
  readonly result?: string;
  /** Leases it says it still works on. */
  readonly leases?: readonly { readonly lease: string; readonly fence: number }[];
}

export class FakeAgent {
  readonly #options: FakeAgentOptions;
  readonly #ws: WebSocket;
  readonly #waiters: { kind: string; resolve: (message: MarketMessage) => void }[] = [];
  readonly received: MarketMessage[] = [];
  readonly closed: Promise<number>;
  #beat: NodeJS.Timeout | undefined;

  constructor(options: FakeAgentOptions) {
    this.#options = options;
    this.#ws = new WebSocket(`${options.url.replace('http', 'ws')}/v1/agent`);
    this.closed = new Promise((resolve) => {
      this.#ws.on('close', (code) => {
        clearInterval(this.#beat);
        resolve(code);
      });
    });
    this.#ws.on('error', () => undefined);
    this.#ws.on('message', (data) =>
      this.#take(decodeMarketMessage(new Uint8Array(data as Buffer))),
    );
  }

  get offer(): ProviderOffer {
    return {
      provider: this.#options.signer.account,
      name: 'fake',
      domain: 'public',
      level: 'eco',
      slots: 8,
      cores: 64,
      memoryBytes: 2 ** 40,
      diskBytes: 2 ** 40,
      architecture: 'x64',
      kernel: 'test',
      node: 'v24',
      benchmarkScore: 1000,
      isolation: 'S1',
      pricePerCoreSecond: 1_000n,
      pricePerGibSecond: 100n,
      ...this.#options.offer,
    };
  }

  #take(message: MarketMessage): void {
    this.received.push(message);
    for (const waiter of this.#waiters.filter(({ kind }) => kind === message.kind)) {
      this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
      waiter.resolve(message);
    }
    if (message.kind === 'challenge')
      this.send(signHello(this.#options.signer, message, this.offer, this.#options.leases ?? []));
    if (message.kind === 'welcome') this.#heartbeat(message.heartbeatMs);
    if (message.kind === 'lease')
      (this.#options.onLease ?? ((agent, lease) => agent.acceptAndDeliver(lease)))(this, message);
  }

  #heartbeat(everyMs: number): void {
    const beat = (): void =>
      this.send({ kind: 'heartbeat', freeSlots: this.offer.slots, leases: [] });
    beat();
    this.#beat = setInterval(beat, everyMs);
  }

  /** Resolves with the next message of a kind. */
  next<K extends MarketMessage['kind']>(kind: K): Promise<Extract<MarketMessage, { kind: K }>> {
    return new Promise((resolve) => {
      this.#waiters.push({
        kind,
        resolve: (m) => resolve(m as Extract<MarketMessage, { kind: K }>),
      });
    });
  }

  send(message: AgentMessage): void {
    this.sendRaw(encodeAgentMessage(message));
  }

  sendRaw(data: Uint8Array | string): void {
    if (this.#ws.readyState === WebSocket.OPEN) this.#ws.send(data);
  }

  acceptAndDeliver(lease: LeaseMessage): void {
    this.send({ kind: 'accept', lease: lease.lease });
    this.deliver(lease);
  }

  deliver(lease: LeaseMessage, charge = 2n): void {
    this.send({ kind: 'deliver', lease: lease.lease, delivery: this.sign(lease, charge) });
  }

  /** The delivery, for whoever shall have it. */
  sign(lease: LeaseMessage, charge = 2n): SignedDelivery {
    const { signer, chain, result } = this.#options;
    const delivery = {
      chain,
      order: lease.order,
      provider: signer.account,
      fence: lease.fence,
      exit: result === undefined ? ('guest-error' as const) : ('ok' as const),
      ...(result !== undefined && { result }),
      usage: { cpuMs: 1, wallMs: 1, peakMemoryBytes: 0, inputBytes: 0, outputBytes: 5 },
      charge: charge < lease.price ? charge : lease.price,
      logLength: lease.log.length,
      logHead: lease.log.head,
    };
    const signature = signer.sign(DELIVERY_DOMAIN, deliveryBytes(delivery));
    return { delivery, publicKey: signer.publicKey, signature };
  }

  /** Stops reading, as an agent that hangs. */
  pause(): void {
    this.#ws.pause();
  }

  resume(): void {
    this.#ws.resume();
  }

  close(): Promise<number> {
    this.#ws.close(1000);
    return this.closed;
  }
}
