/** What a transport counts, as metrics. Read when scraped. */
import type { ProtocolStats, Transport } from '#libs/net';
import type { Metrics } from '#libs/platform';
import type { ForwarderCounts } from './forwarder.ts';

const PROTOCOL_METRICS = [
  ['sentMessages', 'sent_messages', 'Messages sent'],
  ['sentBytes', 'sent_bytes', 'Bytes sent'],
  ['receivedMessages', 'received_messages', 'Messages received'],
  ['receivedBytes', 'received_bytes', 'Bytes received'],
  ['refused', 'refused_messages', 'Messages not taken for sending: no link, or a full queue'],
  ['expired', 'expired_messages', 'Messages dropped unsent: too old, or their link ended'],
  ['queuedBytes', 'queued_bytes', 'Bytes that wait to be sent'],
] as const satisfies readonly (readonly [keyof ProtocolStats, string, string])[];

export function observeLinks(metrics: Metrics, transport: Transport): void {
  metrics.gauge('seele_net_links', 'Linked peers', () => transport.peers().length);
  metrics.gauge('seele_net_dials', 'Attempts to dial since start', () => transport.stats().dials);
  metrics.gauge(
    'seele_net_failed_dials',
    'Attempts to dial that failed since start',
    () => transport.stats().failedDials,
  );
  metrics.gauge('seele_net_links_ended', 'Links and handshakes that ended since start', () => {
    const { ends } = transport.stats();
    return Object.values(ends).reduce((sum, count) => sum + count, 0);
  });
  metrics.gauge('seele_net_round_trip_ms', 'Longest round trip to a linked peer', () =>
    Math.max(0, ...transport.stats().peers.map(({ roundTripMs }) => roundTripMs ?? 0)),
  );
  for (const protocol of Object.keys(transport.stats().protocols))
    for (const [field, name, help] of PROTOCOL_METRICS)
      metrics.gauge(
        `seele_net_${protocol}_${name}`,
        `${help} on protocol ${protocol} since start`,
        () => transport.stats().protocols[protocol]?.[field] ?? 0,
      );
}

const FORWARDED_METRICS = [
  ['passed', 'transactions_passed', 'Transactions sent on because this node makes no blocks'],
  ['given', 'transactions_given', 'Waiting transactions given to others to keep'],
  ['adopted', 'transactions_adopted', 'Transactions taken up from peers that died'],
  ['keptBytes', 'transactions_kept_bytes', 'Bytes of transactions kept for peers'],
] as const satisfies readonly (readonly [keyof ForwarderCounts, string, string])[];

export function observeForwarded(metrics: Metrics, counts: () => ForwarderCounts): void {
  for (const [field, name, help] of FORWARDED_METRICS)
    metrics.gauge(`seele_node_${name}`, help, () => counts()[field]);
}
