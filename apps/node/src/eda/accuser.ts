/**
 * Takes evidence of contradictions to the chain: a `stake.report` transaction of this validator, once per
 * accused. What is too long for a transaction, or what this account cannot pay for, stays in the log.
 */
import {
  STATEMENT_MAX_BYTES,
  stakeCalls,
  stakeKeys,
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
    if (report.first.length > STATEMENT_MAX_BYTES || report.second.length > STATEMENT_MAX_BYTES)
      return;
    reportedAtUs.set(publicKey, nowUs);
    const transaction = signTransaction(signer, {
      chain: chain.id,
      publicKey: signer.publicKey,
      nonce: mempool.nextNonce(signer.account),
      validUntilUs: nowUs + VALID_US,
      fuelLimit:
        REPORT_FUEL + REPORT_FUEL_PER_BYTE * BigInt(report.first.length + report.second.length),
      fuelPrice: chain.fuelPrice(nowUs),
      calls: [stakeCalls.report(report)],
    });
    const admission = mempool.add(transaction, nowUs);
    if (admission.ok) logger.warn({ publicKey, transaction: transaction.id }, 'reported');
    else logger.warn({ publicKey, err: admission.error }, 'could not be reported');
  };
}
