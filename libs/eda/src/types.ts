/** What goes into the consensus reducer and what comes out of it. */
import type { Bytes } from '#libs/kernel';
import type { VerifyAggregate } from './aggregate.ts';
import type { EdaBase } from './base.ts';
import type {
  Aggregate,
  Body,
  Certificate,
  EdaMessage,
  Sealed,
  SealedBlock,
  SignedKind,
  SignedMessages,
} from './messages.ts';
import type { EdaRules } from './rules.ts';
import type { ValidatorSet } from './validator-set.ts';

export type SignByBls = <K extends SignedKind>(kind: K, message: SignedMessages[K]) => Bytes;

/** BLS signatures: of sets that vote by them, and of attestations. */
export interface BlsVotes {
  /** Signs by this key (hex) of the validator's own; undefined for a key that is not. */
  signerOf(publicKey: string | undefined): SignByBls | undefined;
  /** @throws EDA_BLS_INVALID when one is not a signature */
  add(signatures: readonly Bytes[]): Bytes;
  readonly verify: VerifyAggregate;
}

/** Signs and checks for the reducer. Real: ed25519 over canonical bytes; simulations use stand-ins. */
export interface Authenticator {
  sign<K extends SignedKind>(kind: K, message: SignedMessages[K]): Bytes;
  verify<K extends SignedKind>(
    publicKey: string,
    kind: K,
    message: SignedMessages[K],
    signature: Bytes,
  ): boolean;
  /** VRF output of this validator for a cut, with its proof. */
  prove(alpha: Bytes): { readonly output: Bytes; readonly proof: Bytes };
  /** The output that a proof proves, or undefined. */
  verifyProof(publicKey: string, alpha: Bytes, proof: Bytes): Bytes | undefined;
  readonly bls: BlsVotes;
  /** The root a block head must carry for its payload, or undefined for a payload nobody may build. */
  payloadRoot(payload: Bytes): string | undefined;
}

/** Times in µs. */
export interface EdaParameters {
  /** Bound of the one-way delay that the pace is set for; safety does not depend on it. */
  readonly deltaUs: number;
  readonly epsilonUs: number;
  /**
   * Sets above 64: seats of a tick's committee per thousand validators (1 to 1000). Default: 200 seats,
   * or all when there are fewer.
   */
  readonly samplingPerMille?: number;
  /** Length of an era on the axis. */
  readonly eraUs: number;
  /** Checkpoints: an attestation when the cut's time crosses a multiple of this. 0 for never. */
  readonly attestEveryUs: number;
}

/** What state may change at the border of an era: from then on, until it is changed again. */
export type EraParameters = Partial<Pick<EdaParameters, 'epsilonUs' | 'samplingPerMille'>>;
/** What state may change them to: 1 to this. */
export const EPSILON_MAX_US = 1_000_000;
export const SAMPLING_MAX = 1000;

export const DEFAULT_PARAMETERS: EdaParameters = {
  deltaUs: 50_000,
  epsilonUs: 128,
  eraUs: 2 ** 32,
  attestEveryUs: 1_000_000,
};

/** From a block's arrival to the time a cut may list it: 3Δ to become available, 2Δ held by all. */
export const SETTLE_DELTAS = 5;
export const MIN_CUT_INTERVAL_US = 200_000;

export interface Roots {
  readonly stateRoot: string;
  readonly receiptsRoot: string;
  readonly outboxRoot: string;
}

export interface EdaConfig {
  readonly chain: string;
  /** This validator's tagged public key; in no set: an observer. */
  readonly publicKey: string;
  readonly auth: Authenticator;
  readonly parameters: EdaParameters;
  /** Time and set at which the chain begins; slot 1 is the first cut. */
  readonly genesisTimeUs: number;
  readonly genesisSet: ValidatorSet;
  readonly genesisRoots: Roots;
  /** Where to go on; absent at genesis. `baseRoots` is the state after its slot. */
  readonly base?: EdaBase;
  readonly baseRoots?: Roots;
  /** Sets of eras after genesis, as the state at the base says. */
  readonly sets?: readonly ({
    readonly era: number;
    readonly set: ValidatorSet;
  } & EraParameters)[];
  /**
   * The journal was lost or is damaged (a node that starts for the first time has lost nothing). The
   * node observes until it is safe to sign, then says `recovered`.
   */
  readonly journalLost?: boolean;
  readonly rules?: EdaRules;
}

export type EdaEvent =
  /** Time passed; to be sent no later than `nextWakeUs` says. */
  | { readonly kind: 'wake' }
  /**
   * A message arrived; `peer` is the public key that the neighbour has proven to the transport. What a
   * validator says itself is believed to be its own; empty for a message that came in another way.
   */
  | { readonly kind: 'message'; readonly peer: string; readonly message: EdaMessage }
  /** Make a block of this payload (`count` transactions). */
  | { readonly kind: 'author'; readonly payload: Bytes; readonly count: number }
  /** The host has executed the cut of `slot`. */
  | { readonly kind: 'executed'; readonly slot: number; readonly roots: Roots }
  /**
   * For a node that was started with `journalLost` because it holds nothing at all: every validator has
   * said that it, too, has signed nothing yet, so nothing can have been lost. Ignored after the first cut.
   */
  | { readonly kind: 'begin' }
  /** State fixed the set of an era to come, and the parameters that change with it. */
  | ({ readonly kind: 'set'; readonly era: number; readonly set: ValidatorSet } & EraParameters);

/** What must survive a crash, in the order it was written. */
export type JournalRecord =
  | { readonly kind: 'block'; readonly block: SealedBlock; readonly x0: number }
  | {
      readonly kind: 'vote';
      readonly slot: number;
      readonly view: number;
      readonly prepared: { readonly view: number; readonly hash: string } | null;
      readonly committed: { readonly view: number; readonly hash: string } | null;
      readonly highQc: Certificate | null;
      readonly bodies: readonly Body[];
      readonly sent: readonly EdaMessage[];
      readonly floorUs: number;
    }
  | { readonly kind: 'final'; readonly body: Body; readonly certificate: Certificate }
  /** Ticks below this number may have been sent. */
  | { readonly kind: 'ticks'; readonly below: number }
  | { readonly kind: 'attest'; readonly slot: number; readonly hash: string }
  /** The journal before this was lost; once over, the node makes blocks again from `era` on. */
  | { readonly kind: 'recovery'; readonly isOver: boolean; readonly era: number };

/**
 * Effects are carried out in order. What stands before a `send` or `broadcast` is durable before it
 * leaves; a host that cannot write ends its process.
 */
export type EdaEffect =
  | { readonly kind: 'journal'; readonly record: JournalRecord }
  | { readonly kind: 'broadcast'; readonly message: EdaMessage }
  | { readonly kind: 'send'; readonly to: string; readonly message: EdaMessage }
  /** FINAL: this cut stands for ever. */
  | {
      readonly kind: 'decided';
      readonly body: Body;
      readonly certificate: Certificate;
      readonly hash: string;
    }
  /** All blocks of a decided cut are held: execute it, then answer with `executed`. */
  | { readonly kind: 'ready'; readonly slot: number; readonly blocks: readonly SealedBlock[] }
  | {
      readonly kind: 'available';
      readonly hash: string;
      readonly era: number;
      readonly author: number;
      readonly seq: number;
    }
  /** (q + Q − W − 1) of the cut rose; divide by W for the finality strength. */
  | {
      readonly kind: 'strength';
      readonly slot: number;
      readonly hash: string;
      readonly weight: number;
      /** The attestations (`Attest`) that were made by BLS as one signature, once they weigh Q. */
      readonly aggregate?: Aggregate;
    }
  /** Two statements of one validator that exclude each other: a slashing proof. */
  | {
      readonly kind: 'evidence';
      /** Kind of the first; `otherWhat` of the second when it is another one. */
      readonly what: SignedKind;
      readonly otherWhat?: SignedKind;
      readonly publicKey: string;
      readonly first: Sealed<unknown>;
      readonly second: Sealed<unknown>;
    }
  /** The journal was lost; from here on the node votes again. */
  | { readonly kind: 'recovered'; readonly slot: number }
  /** A block of this node can no longer be ordered (its era is over): author its payload again. */
  | { readonly kind: 'expired'; readonly block: SealedBlock };
