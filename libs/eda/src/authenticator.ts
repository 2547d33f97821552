/** The real signatures behind the reducer: ed25519 over domain-separated canonical bytes, ECVRF. */
import { type Signer, verifySignature, vrfProve, vrfVerify } from '#libs/crypto';
import type { Bytes } from '#libs/kernel';
import { verifyAggregate } from './aggregate.ts';
import { type BlsSigner, aggregateBls } from './bls.ts';
import { signedBytes, signingDomain } from './messages.ts';
import type { Authenticator } from './types.ts';

export interface AuthenticatorOptions {
  readonly signer: Signer;
  /** The ed25519 seed of the same key, for the VRF. */
  readonly seed: Bytes;
  /**
   * Its BLS keys, one of which a set names. Without one this validator has no vote in sets that vote by
   * BLS, and attests by ed25519.
   */
  readonly bls?: readonly BlsSigner[];
  /** The root a block head must carry for its payload; undefined for what nobody may build. */
  readonly payloadRoot: (payload: Bytes) => string | undefined;
}

export function createAuthenticator({
  signer,
  seed,
  bls = [],
  payloadRoot,
}: AuthenticatorOptions): Authenticator {
  return {
    sign: (kind, message) => signer.sign(signingDomain(kind), signedBytes(kind, message)),
    verify: (publicKey, kind, message, signature) =>
      verifySignature(publicKey, signingDomain(kind), signedBytes(kind, message), signature),
    prove: (alpha) => vrfProve(seed, alpha),
    verifyProof: (publicKey, alpha, proof) => vrfVerify(publicKey, alpha, proof),
    bls: {
      signerOf(publicKey) {
        const own = bls.find((signer) => signer.publicKey === publicKey);
        return (
          own && ((kind, message) => own.sign(signingDomain(kind), signedBytes(kind, message)))
        );
      },
      add: aggregateBls,
      verify: verifyAggregate,
    },
    payloadRoot,
  };
}
