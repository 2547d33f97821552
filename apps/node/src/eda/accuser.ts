/**
 * Takes evidence of contradictions to the chain: a `stake.report` transaction of this validator, once per
 * accused; statements too long for one in parts. What this account cannot pay for stays in the log.
 */
import {
  type ContractCall,
  STATEMENT_MAX_BYTES,
  stakeCalls,
  stakeKeys,
  statementId,
  statementInParts,
  STAKE_CONTRACT,
  validatorRecord,
} from '#contracts';
import type { Signer } from '#libs/crypto';
import {
  type EdaEffect,
  type EdaMessage,
  type Sealed,
  type SignedKind,
  encodeMessage,
} from '#libs/eda';
import { type Bytes, decodeWith } from '#libs/kernel';
import { type Chain, type Mempool, signTransaction } from '#libs/ledger';
import type { Logger } from '#libs/platform';

export type Evidence = Extract<EdaEffect, { kind: 'evidence' }>;

/** Two signatures, the bonds of all validators, and the bytes of the statements. */
const REPORT_FUEL = 6_000_000n;
const REPORT_FUEL_PER_BYTE = 60n;
/** One part of a long statement: its transaction, reading how many there are, storing it. */
const PART_FUEL = 1_000_000n;
const PART_FUEL_PER_BYTE = 350n;
/** Reading the parts, taking them out, checking the statement. */
const LONG_FUEL_PER_BYTE = 100n;
const VALID_US = 60_000_000;
const NO_PAYLOAD = new Uint8Array();

export interface AccuserParts {
  readonly chain: Chain;
  readonly mempool: Mempool;
  readonly signer: Signer;
  readonly logger: Logger;
}

function statementBytes(kind: SignedKind, { from, message, signature }: Sealed<unknown>): Bytes {
  const payload = kind === 'block' ? { payload: NO_PAYLOAD } : {};
  return encodeMessage({ kind, from, message, signature, ...payload } as EdaMessage);
}

/** A function that reports; evidence against one validator is taken up once a minute at most. */
export function createAccuser({ chain, mempool, signer, logger }: AccuserParts) {
  const reportedAtUs = new Map<string, number>();
  const submit = (
    call: ContractCall,
    fuelLimit: bigint,
    accused: string,
    nowUs: number,
  ): boolean => {
    const transaction = signTransaction(signer, {
      chain: chain.id,
      publicKey: signer.publicKey,
      nonce: mempool.nextNonce(signer.account),
      validUntilUs: nowUs + VALID_US,
      fuelLimit,
      fuelPrice: chain.fuelPrice(nowUs),
      calls: [call],
    });
    const admission = mempool.add(transaction, nowUs);
    if (!admission.ok)
      logger.warn({ publicKey: accused, err: admission.error }, 'could not be reported');
    return admission.ok;
  };
  return (evidence: Evidence, nowUs: number): void => {
    const { what, otherWhat = what, publicKey, first, second } = evidence;
    logger.error({ what, publicKey }, 'a validator contradicted itself');
    const stored = chain.get(STAKE_CONTRACT, stakeKeys.validator(publicKey));
    if (stored === undefined || decodeWith(validatorRecord, stored).faults > 0) return;
    if ((reportedAtUs.get(publicKey) ?? 0) > nowUs - VALID_US) return;
    const report = {
      publicKey,
      first: statementBytes(what, first),
      second: statementBytes(otherWhat, second),
    };
    reportedAtUs.set(publicKey, nowUs);
    const { first: one, second: other } = report;
    const isLong = Math.max(one.length, other.length) > STATEMENT_MAX_BYTES;
    for (const { call, fuelLimit } of isLong ? inParts(report) : [whole(report)])
      if (!submit(call, fuelLimit, publicKey, nowUs)) return;
    logger.warn({ publicKey }, 'reported');
  };
}

interface Report {
  readonly publicKey: string;
  readonly first: Bytes;
  readonly second: Bytes;
}
interface Step {
  readonly call: ContractCall;
  readonly fuelLimit: bigint;
}

function whole(report: Report): Step {
  const bytes = report.first.length + report.second.length;
  const fuelLimit = REPORT_FUEL + REPORT_FUEL_PER_BYTE * BigInt(bytes);
  return { call: stakeCalls.report(report), fuelLimit };
}

/** Parts first, in transactions of their own: one after the other by their nonces. */
function inParts({ publicKey, first, second }: Report): readonly Step[] {
  const bytes = first.length + second.length;
  const parts = [first, second].flatMap((statement) =>
    statementInParts(statement).map((part, i) => ({
      call: stakeCalls.submitPart({ statement: statementId(statement), part: i, bytes: part }),
      fuelLimit: PART_FUEL + PART_FUEL_PER_BYTE * BigInt(part.length),
    })),
  );
  const ids = { first: statementId(first), second: statementId(second) };
  const fuelLimit = REPORT_FUEL + LONG_FUEL_PER_BYTE * BigInt(bytes);
  return [...parts, { call: stakeCalls.reportParts({ publicKey, ...ids }), fuelLimit }];
}
