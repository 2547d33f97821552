/** Offline verification of a receipt: what was checked, in words. */
import type { SignatureVerifier } from '#libs/crypto';

export interface VerifyReceiptOptions {
  /** Genesis id the receipt must refer to, hex. */
  readonly trust?: string | undefined;
  /** Names of chains that are trusted, by genesis id. */
  readonly knownChains?: Readonly<Record<string, string>>;
  /** Real signatures unless told otherwise (simulations). */
  readonly verify?: SignatureVerifier;
}

export interface ReceiptCheck {
  /** Stable: `file`, `chain`, `order`, `manifest`, `entries`, `signatures`, `checkpoints`, … */
  readonly name: string;
  readonly ok: boolean;
  /** One sentence for a person: what was checked and what was found. */
  readonly words: string;
}

export interface ReceiptSummary {
  readonly chain: string;
  readonly chainName: string;
  readonly order: string;
  readonly consumer: string;
  readonly market: string;
  readonly provider?: string;
  readonly state: string;
  readonly exit?: string;
  readonly result?: string;
  readonly priceCap: bigint;
  readonly paid: bigint;
  readonly refunded: bigint;
  readonly events: number;
  readonly anchors: number;
  /** Height and time (µs) of the block whose state proves the order's end. */
  readonly height: number;
  readonly timeUs: number;
}

export interface ReceiptVerdict {
  /** Every check held and the chain is pinned. */
  readonly ok: boolean;
  /** The genesis id is one the caller trusts. */
  readonly pinned: boolean;
  readonly checks: readonly ReceiptCheck[];
  /** Absent when the file cannot be read. */
  readonly summary?: ReceiptSummary;
}
