/**
 * Server-sent events (WHATWG HTML, 9.2) over fetch: a parser, and a follower that reconnects where it
 * left off by `Last-Event-ID`.
 */
import { errorFromProblem, sdkError } from './errors.ts';
import { type Transport, pause } from './transport.ts';

export interface StreamEvent {
  readonly id: string;
  readonly event: string;
  readonly data: string;
}

/** Longest accepted line; a service that sends more is not ours. */
const LINE_MAX_CHARACTERS = 4 * 1024 * 1024;
const RECONNECT_FIRST_MS = 200;
const RECONNECT_MAX_MS = 5_000;

/** Splits a byte stream into events; comments and unknown fields are skipped. */
export async function* parseEventStream(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<StreamEvent> {
  const decoder = new TextDecoder();
  let rest = '';
  let id = '';
  let event = '';
  let data: string[] = [];
  for await (const chunk of chunks) {
    rest += decoder.decode(chunk, { stream: true });
    if (rest.length > LINE_MAX_CHARACTERS)
      throw sdkError('SDK_ANSWER_INVALID', 'an event is longer than 4 MiB');
    const lines = rest.split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line === '') {
        if (data.length > 0) yield { id, event: event || 'message', data: data.join('\n') };
        event = '';
        data = [];
        continue;
      }
      const colon = line.indexOf(':');
      if (colon === 0) continue;
      const field = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
      if (field === 'data') data.push(value);
      else if (field === 'event') event = value;
      else if (field === 'id') id = value;
    }
  }
}

export interface FollowOptions {
  readonly signal?: AbortSignal;
  /** Sign the request: the stream is private. */
  readonly sign?: boolean;
  /** Give up when nothing could be had for so long. */
  readonly patienceMs?: number;
}

/**
 * Follows a stream across disconnects until the server closes it with a `end` event, the consumer
 * stops, or nothing could be had for `patienceMs`.
 */
export async function* followEvents(
  transport: Transport,
  url: string,
  options: FollowOptions = {},
): AsyncGenerator<StreamEvent> {
  const { signal, patienceMs = 60_000 } = options;
  let lastId = '';
  let delayMs = RECONNECT_FIRST_MS;
  let quietSince = performance.now();
  while (!signal?.aborted) {
    try {
      const headers = new Headers({ accept: 'text/event-stream' });
      if (lastId !== '') headers.set('last-event-id', lastId);
      const response = await transport.send(new Request(url, { headers }), {
        ...(options.sign === undefined ? {} : { sign: options.sign }),
        signal,
      });
      if (!response.ok)
        throw errorFromProblem(response.status, await response.json().catch(() => null), url);
      if (!response.body) throw sdkError('SDK_ANSWER_INVALID', `${url} sent no stream`);
      for await (const event of parseEventStream(response.body)) {
        quietSince = performance.now();
        delayMs = RECONNECT_FIRST_MS;
        if (event.id !== '') lastId = event.id;
        if (event.event === 'end') return;
        yield event;
      }
    } catch (error) {
      if (signal?.aborted) return;
      const refused = (error as { status?: number }).status ?? 0;
      const lasting = refused >= 400 && refused < 500 && refused !== 429;
      if (lasting || performance.now() - quietSince > patienceMs) throw error;
    }
    await pause(delayMs, signal);
    delayMs = Math.min(RECONNECT_MAX_MS, delayMs * 2);
  }
}
