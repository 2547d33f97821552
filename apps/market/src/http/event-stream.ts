/**
 * Server-sent events of one job (WHATWG HTML 9.2): first what the log holds after Last-Event-ID, then
 * what happens live. The log in the database is the source; live events only save reading it, so a
 * gap, a lag or a restart costs a read and never an event. Writing waits for the client.
 */
import { once } from 'node:events';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { platformError } from '#libs/platform';
import type { Follower } from '../jobs/job-event-hub.ts';
import { jobEventToDocument, orderToDocument } from './documents.ts';
import type { LogEvent, MarketApi } from './market-api.ts';

/** A comment keeps proxies from closing a quiet stream, and shows us that the client left. */
const KEEP_ALIVE_MS = 15_000;
/** A follower further behind gets a snapshot instead of the entries between. */
const BEHIND_MAX_ENTRIES = 20_000;
const HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-store',
  'x-accel-buffering': 'no',
};

class EventStream {
  readonly #market: MarketApi;
  readonly #order: string;
  readonly #reply: FastifyReply['raw'];
  readonly #follower: Follower;
  /** Log place of the last entry sent. */
  #sent: number;

  constructor(
    market: MarketApi,
    order: string,
    reply: FastifyReply['raw'],
    follower: Follower,
    sent: number,
  ) {
    this.#market = market;
    this.#order = order;
    this.#reply = reply;
    this.#follower = follower;
    this.#sent = sent;
  }

  async #write(text: string): Promise<void> {
    if (this.#follower.isClosed || this.#reply.write(text)) return;
    // The client reads slowly: wait for it rather than buffer for it.
    await Promise.race([once(this.#reply, 'drain'), once(this.#reply, 'close')]);
  }

  async #sendEntry(event: LogEvent): Promise<void> {
    this.#sent = event.seq;
    const document = JSON.stringify(jobEventToDocument(event));
    await this.#write(`id: ${event.seq}\nevent: ${eventName(event.kind)}\ndata: ${document}\n\n`);
  }

  /** Everything durable that was not sent yet. */
  async #catchUp(): Promise<void> {
    const view = await this.#market.order(this.#order);
    if (view !== undefined && view.log.length - this.#sent > BEHIND_MAX_ENTRIES) {
      this.#sent = view.log.length - 1;
      const snapshot = JSON.stringify(orderToDocument(view));
      await this.#write(`id: ${this.#sent}\nevent: snapshot\ndata: ${snapshot}\n\n`);
    }
    while (!this.#follower.isClosed) {
      const page = await this.#market.logAfter(this.#order, this.#sent);
      if (page.length === 0) return;
      for (const event of page) if (event.seq > this.#sent) await this.#sendEntry(event);
    }
  }

  async #sendLive(): Promise<void> {
    for (const signal of this.#follower.take()) {
      if (signal.is === 'lagged') {
        await this.#catchUp();
        continue;
      }
      const { seq, ...event } = signal.event;
      if (seq === undefined)
        await this.#write(
          `event: ${eventName(event.kind)}\ndata: ${JSON.stringify(jobEventToDocument(event))}\n\n`,
        );
      else if (seq === this.#sent + 1) await this.#sendEntry({ ...event, seq });
      else if (seq > this.#sent) await this.#catchUp();
    }
  }

  async #hasEnded(): Promise<boolean> {
    const view = await this.#market.order(this.#order);
    if (view === undefined) return true;
    return view.endedAtUs !== undefined && view.log.length <= this.#sent + 1;
  }

  async run(): Promise<void> {
    await this.#catchUp();
    while (!this.#follower.isClosed) {
      if (await this.#hasEnded()) {
        await this.#write('event: end\ndata: {}\n\n');
        return;
      }
      await this.#follower.ready();
      await this.#sendLive();
    }
  }
}

/** Kinds come from signed logs of strangers; a line break in one would forge fields. */
const eventName = (kind: string): string => kind.replace(/[^\w.-]/g, '_') || 'message';

/** Answers with the job's events until it ended or the client left. */
export async function streamJobEvents(
  market: MarketApi,
  order: string,
  lastEventId: string | undefined,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  if (lastEventId !== undefined && !/^\d{1,12}$/.test(lastEventId))
    throw platformError(
      'HTTP_BAD_REQUEST',
      'Last-Event-ID is not the id of an event of this stream',
    );
  const follower = market.follow(order);
  if (follower === undefined)
    throw platformError('HTTP_OVERLOADED', 'too many streams are open', {
      detail: { retryAfterSeconds: 5 },
    });
  reply.hijack();
  const { raw } = reply;
  for (const [name, value] of Object.entries(reply.getHeaders()))
    if (value !== undefined) raw.setHeader(name, value);
  raw.writeHead(200, HEADERS);
  raw.flushHeaders();
  raw.on('close', () => follower.close());
  request.raw.on('error', () => follower.close());
  raw.on('error', () => follower.close());
  const keepAlive = setInterval(() => raw.write(': still here\n\n'), KEEP_ALIVE_MS);
  try {
    const sent = lastEventId === undefined ? -1 : Number(lastEventId);
    await new EventStream(market, order, raw, follower, sent).run();
  } finally {
    clearInterval(keepAlive);
    follower.close();
    raw.end();
  }
}
