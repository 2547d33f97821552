/** How an agent proves its key: a signature over the market's challenge and the offer it makes. */
import { accountOf, type SignatureVerifier } from '#libs/crypto';
import { type Bytes, encodeWith, hash32, hexBytes, record } from '#libs/kernel';
import {
  AGENT_HELLO_DOMAIN,
  AGENT_PROTOCOL_VERSION,
  type AgentMessage,
  type MarketMessage,
  type ProviderOffer,
  providerOffer,
} from '../agent-protocol.ts';
import type { AgentSigner } from './model.ts';

export type HelloMessage = Extract<AgentMessage, { kind: 'hello' }>;
export type ChallengeMessage = Extract<MarketMessage, { kind: 'challenge' }>;

const helloStatement = record({ nonce: hexBytes(32), market: hash32, offer: providerOffer });

/** The bytes that a hello signs. */
export function helloBytes(nonce: string, market: string, offer: ProviderOffer): Bytes {
  return encodeWith(helloStatement, { nonce, market, offer });
}

export function signHello(
  signer: AgentSigner,
  challenge: Pick<ChallengeMessage, 'nonce' | 'market'>,
  offer: ProviderOffer,
  leases: HelloMessage['leases'],
  draining = false,
): HelloMessage {
  const { nonce, market } = challenge;
  return {
    kind: 'hello',
    version: AGENT_PROTOCOL_VERSION,
    publicKey: signer.publicKey,
    nonce,
    offer,
    signature: signer.sign(AGENT_HELLO_DOMAIN, helloBytes(nonce, market, offer)),
    leases,
    ...(draining && { draining }),
  };
}

/** Why a hello is not to be believed; `undefined` when it proves the offering provider's key. */
export function helloProblem(
  hello: HelloMessage,
  challenge: Pick<ChallengeMessage, 'nonce' | 'market'>,
  verify: SignatureVerifier,
): string | undefined {
  if (hello.version !== AGENT_PROTOCOL_VERSION)
    return `protocol version ${hello.version}, wanted ${AGENT_PROTOCOL_VERSION}`;
  if (hello.nonce !== challenge.nonce) return 'the nonce is not the one of this connection';
  if (accountOf(hello.publicKey) !== hello.offer.provider)
    return 'the key is not the offering provider’s';
  const bytes = helloBytes(hello.nonce, challenge.market, hello.offer);
  if (!verify(hello.publicKey, AGENT_HELLO_DOMAIN, bytes, hello.signature))
    return 'the signature does not match';
  return undefined;
}

/** True when the hello answers the challenge with the offering provider's key. */
export const verifyHello = (
  hello: HelloMessage,
  challenge: Pick<ChallengeMessage, 'nonce' | 'market'>,
  verify: SignatureVerifier,
): boolean => helloProblem(hello, challenge, verify) === undefined;
