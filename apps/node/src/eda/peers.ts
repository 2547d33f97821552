/** Addresses of validators as settings give them. */
import { ledgerError } from '#libs/ledger';

export interface PeerAddress {
  readonly publicKey: string;
  readonly address: string;
}

const PEER = /^(01[0-9a-f]{64})@(\S+:\d{1,5})$/;

/** Peers as settings name them: `publicKey@host:port`, separated by commas. @throws LEDGER_PEER_INVALID */
export function readPeers(text: string): readonly PeerAddress[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map((part) => {
      const [, publicKey, address] = PEER.exec(part) ?? [];
      if (publicKey === undefined || address === undefined)
        throw ledgerError(
          'LEDGER_PEER_INVALID',
          `${JSON.stringify(part)} is not publicKey@host:port`,
        );
      return { publicKey, address };
    });
}

/** `host:port`, an IPv6 host in brackets. @throws LEDGER_PEER_INVALID */
export function readListen(text: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined)
    throw ledgerError('LEDGER_PEER_INVALID', `${JSON.stringify(text)} is not host:port`);
  return { host, port: Number(match?.[3]) };
}
