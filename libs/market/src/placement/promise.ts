/**
 * Binding quotes. The market signs what it promises for one manifest: for each cell the most it will
 * charge and when the work would end. Nothing is kept here: whoever passes the quote with an order
 * gets that price as the cap, even if this market was restarted in between, and can prove a breach.
 */
import { hashOf } from '#libs/crypto';
import {
  type Bytes,
  type CodecValue,
  SeeleError,
  byteString,
  cid,
  decodeWith,
  encodeWith,
  float,
  hash32,
  list,
  optional,
  record,
  text,
  u64,
  uint,
} from '#libs/kernel';
import { manifestCid } from '../manifest.ts';
import type { Manifest } from '../manifest.ts';
import type { Refusal } from '../model/views.ts';
import type { MarketConfig } from '../model/config.ts';
import type { Quote, QuoteOption } from '../model/views.ts';

export const QUOTE_DOMAIN = 'seele/quote/1';
/** How long a quote binds. */
export const QUOTE_VALID_MS = 60_000;
const QUOTE_MAX_BYTES = 16 * 1024;
const CELLS_MAX = 16;
const US_PER_MS = 1000;

/** What is promised of one cell. */
export const promisedCell = record({
  cell: text(40),
  /** Most that is charged; of an order of many tasks for all of them. */
  price: u64,
  /** Of an order of many tasks: most that is charged for one unit. */
  unitPrice: optional(u64),
  /** From acceptance to the accepted delivery: expected, and the ends of the interval. */
  ...{ finishMs: uint(), lowMs: uint(), highMs: uint() },
  errorClass: uint(8),
  /** Probability that a wrong result is accepted, at the share of colluders stated with it. */
  ...{ wrong: float, colluders: float },
});
export type PromisedCell = CodecValue<typeof promisedCell>;

export const quoteTerms = record({
  ...{ chain: hash32, market: hash32, manifest: cid },
  ...{ quotedAtUs: uint(), validUntilUs: uint() },
  /** Best first, by the job's tier or weights. */
  cells: list(promisedCell, CELLS_MAX),
});
export type QuoteTerms = CodecValue<typeof quoteTerms>;
const signedQuote = record({ terms: quoteTerms, signature: byteString(96) });

/** What names a quote: the hash of its terms. */
export const quoteId = (terms: QuoteTerms): string =>
  hashOf(QUOTE_DOMAIN, encodeWith(quoteTerms, terms));

export interface BindingQuote extends Quote {
  readonly id: string;
  readonly validUntilUs: number;
  /** The signed terms, to be passed with an order. */
  readonly signed: Bytes;
}

const promiseOf = (option: QuoteOption): PromisedCell => ({
  ...{ cell: option.cell, price: option.priceCap },
  ...(option.unitPrice !== undefined && { unitPrice: option.unitPrice }),
  ...{ finishMs: option.finishMs.likely, lowMs: option.finishMs.earliest },
  ...{ highMs: option.finishMs.latest, errorClass: option.errorClass },
  ...{ wrong: option.risk.wrong, colluders: option.risk.colluders },
});

/** Signs a quote. */
export function signQuote(
  { chain, signer }: MarketConfig,
  manifest: Manifest,
  quote: Quote,
  nowUs: number,
): BindingQuote {
  const terms: QuoteTerms = {
    ...{ chain, market: signer.account, manifest: manifestCid(manifest) },
    ...{ quotedAtUs: nowUs, validUntilUs: nowUs + QUOTE_VALID_MS * US_PER_MS },
    cells: quote.options.slice(0, CELLS_MAX).map(promiseOf),
  };
  const signature = signer.sign(QUOTE_DOMAIN, encodeWith(quoteTerms, terms));
  const signed = encodeWith(signedQuote, { terms, signature });
  return { ...quote, id: quoteId(terms), validUntilUs: terms.validUntilUs, signed };
}

/** What a quote promises an order. */
export interface Promised extends PromisedCell {
  readonly quote: string;
}

interface Asked {
  readonly manifest: string;
  readonly priceCap: bigint;
}

/**
 * What this quote promises an order of this manifest and cap: the best cell that the cap pays for. Or
 * why it promises nothing.
 */
export function readQuote(
  { chain, signer, verify }: MarketConfig,
  bytes: Bytes,
  { manifest, priceCap }: Asked,
  nowUs: number,
): Promised | Refusal {
  const refuse = (message: string): Refusal => ({ code: 'MARKET_QUOTE_INVALID', message });
  let quote: CodecValue<typeof signedQuote>;
  try {
    quote = decodeWith(signedQuote, bytes, { maxBytes: QUOTE_MAX_BYTES, maxDepth: 6 });
  } catch (error) {
    if (!(error instanceof SeeleError)) throw error;
    return refuse('the quote cannot be read');
  }
  const { terms, signature } = quote;
  if (terms.chain !== chain || terms.market !== signer.account)
    return refuse('the quote is of another market or chain');
  if (terms.manifest !== manifest) return refuse(`the quote is for job ${terms.manifest}`);
  if (!verify(signer.publicKey, QUOTE_DOMAIN, encodeWith(quoteTerms, terms), signature))
    return refuse('the signature of the quote does not verify');
  if (terms.validUntilUs <= nowUs)
    return {
      code: 'MARKET_QUOTE_EXPIRED',
      message: `the quote was valid until ${terms.validUntilUs} µs, now ${nowUs} µs`,
    };
  const promised = terms.cells.find(({ price }) => price <= priceCap);
  if (promised) return { ...promised, quote: quoteId(terms) };
  const least = terms.cells.reduce(
    (low, { price }) => (price < low ? price : low),
    terms.cells[0]?.price ?? 0n,
  );
  return {
    code: 'MARKET_CAP_TOO_LOW',
    message: `price cap ${priceCap}, least price of the quote ${least}`,
  };
}
