/** Sending transactions: the next nonce, a signature, a receipt that is final. */
import type { ContractCall } from '#contracts';
import type { Signer } from '#libs/crypto';
import { type FinalReceipt, signTransaction } from '#libs/ledger';
import type { NodeClient } from '#libs/platform';
import { sdkError } from './errors.ts';

export interface SendCallsOptions {
  /** Most that the transaction may burn, in fuel. */
  readonly fuelLimit?: bigint;
  /** Money per fuel; the least that the node takes now unless given. */
  readonly fuelPrice?: bigint;
  /** How long the receipt is awaited; the transaction stays valid as long. */
  readonly timeoutMs?: number;
}

const FUEL_LIMIT = 10_000_000n;
const TIMEOUT_MS = 30_000;

/**
 * Signs the calls as one transaction (all or nothing), sends it, waits until it is final.
 *
 * @throws the node's refusal, SDK_REVERTED with the contract's code, NODE_NOT_FINAL
 */
export async function sendCalls(
  node: NodeClient,
  signer: Signer,
  calls: readonly ContractCall[],
  options: SendCallsOptions = {},
): Promise<FinalReceipt> {
  const { fuelLimit = FUEL_LIMIT, timeoutMs = TIMEOUT_MS } = options;
  const [{ genesis, minimumFuelPrice }, { nextNonce }] = await Promise.all([
    node.status(),
    node.account(signer.account),
  ]);
  const envelope = signTransaction(signer, {
    chain: genesis,
    publicKey: signer.publicKey,
    nonce: nextNonce,
    validUntilUs: (Date.now() + timeoutMs) * 1000,
    fuelLimit,
    fuelPrice: options.fuelPrice ?? minimumFuelPrice,
    calls,
  });
  const final = await node.execute(envelope, timeoutMs);
  const { status, code, message } = final.receipt;
  if (status === 'ok') return final;
  throw sdkError('SDK_REVERTED', `${message ?? status} [${code ?? status}]`);
}
