/** Offline verification of a receipt: what was checked, in words. */
import { type OrderRecord, orderId } from '#contracts';
import { type SignatureVerifier, verifySignature } from '#libs/crypto';
import { type Bytes, bytesToHex } from '#libs/kernel';
import { genesisId } from '#libs/ledger';
import {
  checkCertificates,
  checkCheckpoints,
  checkConsistency,
  readAnchors,
  readRecord,
  sizesOf,
} from './check-chain.ts';
import { checkDelivery, checkManifest, checkOrder } from './check-documents.ts';
import { checkComplete, checkMoney } from './check-money.ts';
import { checkArrayMoney, checkBatches, checkTaskUnits } from './check-units.ts';
import { type Finding, attempt, failed, held, plural } from './finding.ts';
import { type LogReading, followLog, readLog } from './read-log.ts';
import { type ReceiptFile, readReceipt } from './receipt-file.ts';
import { isTaskReceipt, readTaskReceipt } from './units.ts';

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
  /** Of an order of many tasks. */
  readonly array?: {
    readonly tasks: number;
    readonly replicas: number;
    readonly paidUnits: number;
  };
  /** Of a receipt of one of its tasks: which. */
  readonly task?: number;
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

const CHECKS = [
  ...['file', 'chain', 'certificates', 'order', 'manifest', 'entries', 'signatures', 'anchors'],
  ...['checkpoints', 'record', 'delivery', 'money', 'complete'],
] as const;
type CheckName = (typeof CHECKS)[number] | 'task';

/** Runs the checks in order; one that needs what an earlier one could not find says so. */
class Report {
  readonly #checks: ReceiptCheck[] = [];

  get checks(): readonly ReceiptCheck[] {
    return this.#checks;
  }

  get ok(): boolean {
    return this.#checks.every(({ ok }) => ok);
  }

  add(name: CheckName, check: () => Finding): boolean {
    const finding = attempt(check);
    this.#checks.push({ name, ...finding });
    return finding.ok;
  }

  /** Runs a check that yields a value for later ones. */
  find<T>(name: CheckName, read: () => readonly [Finding, T | undefined]): T | undefined {
    let value: T | undefined;
    const ok = this.add(name, () => {
      const [finding, found] = read();
      value = found;
      return finding;
    });
    return ok ? value : undefined;
  }

  skip(...names: readonly CheckName[]): void {
    for (const name of names)
      this.#checks.push({ name, ok: false, words: 'not checked: an earlier check failed' });
  }
}

/** Asks about the same signature once: several proofs of a receipt share a block. */
function remembering(verify: SignatureVerifier): SignatureVerifier {
  const known = new Map<string, boolean>();
  return (publicKey, domain, message, signature) => {
    const key = `${publicKey} ${domain} ${bytesToHex(message)} ${bytesToHex(signature)}`;
    let answer = known.get(key);
    if (answer === undefined) {
      answer = verify(publicKey, domain, message, signature);
      known.set(key, answer);
    }
    return answer;
  };
}

function checkPinned(id: string, name: string, options: VerifyReceiptOptions): Finding {
  const { trust, knownChains = {} } = options;
  if (trust !== undefined)
    return trust === id
      ? held(`chain ${name}, ${id}, is the one you trust`)
      : failed(`the receipt is of chain ${id}, not of the trusted ${trust}`);
  if (Object.hasOwn(knownChains, id)) return held(`chain ${knownChains[id]}, ${id}, is known`);
  return failed(
    `chain not pinned: the file itself names chain ${id} (${name}); trust it only if you know that id from elsewhere, with --trust ${id}`,
  );
}

/** Log: entries follow each other, and whoever signed them was entitled to. */
function checkLog(
  report: Report,
  { batches, order }: ReceiptFile,
  job: string,
  verify: SignatureVerifier,
): LogReading | undefined {
  const heads = report.find('entries', () => {
    const found = followLog(batches, job);
    const entries = plural(found.length - 1, 'entry', 'entries');
    return [held(`${entries} of job ${job}, each naming the hash of the one before`), found];
  });
  if (!heads) {
    report.skip('signatures');
    return undefined;
  }
  return report.find('signatures', () => {
    const log = readLog(batches, order.order.market, heads, verify);
    const leases = plural(log.leases.length, 'lease');
    const words = `${plural(batches.length, 'batch', 'batches')} signed by the market and by the provider of ${leases}, each while it held the log`;
    return [held(words), log];
  });
}

function checkAnchors(
  report: Report,
  file: ReceiptFile,
  job: string,
  log: LogReading,
  verify: SignatureVerifier,
): void {
  const { genesis, anchors: proofs, checkpoints, consistency, order } = file;
  const anchors = report.find('anchors', () => {
    const sizes = sizesOf(checkpoints);
    const found = readAnchors(genesis, proofs, sizes, order.order.market, verify);
    if (!found) return [failed('the chain does not hold the anchors that the file names'), found];
    return [checkConsistency(found, consistency), found];
  });
  if (!anchors) return report.skip('checkpoints');
  report.add('checkpoints', () => checkCheckpoints(checkpoints, anchors, job, log));
}

/** What was delivered: one signed delivery, or the batches of many tasks. */
function checkWork(
  file: ReceiptFile,
  record: OrderRecord,
  log: LogReading,
  verify: SignatureVerifier,
): Finding {
  if (record.array && !file.delivery)
    return checkBatches(file.units, record, record.array, log, verify);
  if (record.array || file.units) return failed('the file mixes one task with many');
  return checkDelivery(file.delivery, record, log, verify);
}

const checkPaid = (record: OrderRecord): Finding =>
  record.array ? checkArrayMoney(record, record.array) : checkMoney(record);

function summaryOf(
  file: Pick<ReceiptFile, 'order' | 'orderProof' | 'genesis'> &
    Partial<Pick<ReceiptFile, 'batches' | 'anchors'>>,
  id: string,
  job: string,
  record: OrderRecord,
): ReceiptSummary {
  const { order } = file.order;
  const { header } = file.orderProof;
  const delivery = record.delivery;
  return {
    chain: id,
    chainName: file.genesis.chainName,
    order: job,
    consumer: order.consumer,
    market: order.market,
    ...(record.provider !== undefined && { provider: record.provider }),
    state: record.state,
    ...(delivery && { exit: delivery.exit }),
    ...(delivery?.result !== undefined && { result: delivery.result }),
    priceCap: order.priceCap,
    paid: record.paid,
    refunded: record.refunded,
    ...(record.array &&
      order.array && {
        array: {
          ...{ tasks: order.array.tasks, replicas: order.array.replicas },
          paidUnits: record.array.settled,
        },
      }),
    events: (file.batches ?? []).reduce((sum, { entries }) => sum + entries.length, 0),
    anchors: file.anchors?.length ?? 0,
    height: header.height,
    timeUs: header.timeUs,
  };
}

function findRecord(
  report: Report,
  { genesis, orderProof, order }: Pick<ReceiptFile, 'genesis' | 'orderProof' | 'order'>,
  job: string,
  verify: SignatureVerifier,
): OrderRecord | undefined {
  return report.find('record', () => {
    const found = readRecord(genesis, orderProof, order.order, job, verify);
    const { height } = orderProof.header;
    return found
      ? [held(`block ${height} holds the order’s record: ${found.state}`), found]
      : [failed(`block ${height} does not hold this order’s record`), found];
  });
}

const TASK_CHECKS = [
  ...['chain', 'certificates', 'order', 'manifest', 'record', 'money', 'task'],
] as const;

/** A receipt of one task: its order, its leaf under what its provider signed, and the chain's payments. */
function verifyTaskReceipt(
  bytes: Bytes,
  options: VerifyReceiptOptions,
  report: Report,
  verify: SignatureVerifier,
): ReceiptVerdict {
  const file = report.find('file', () => {
    const read = readTaskReceipt(bytes);
    return [held(`a task’s receipt of ${bytes.length} bytes, complete and canonical`), read];
  });
  if (!file) {
    report.skip(...TASK_CHECKS);
    return { ok: false, pinned: false, checks: report.checks };
  }
  const { genesis, order: signed, orderProof } = file;
  const id = genesisId(genesis);
  const job = orderId(signed.order);
  const pinned = report.add('chain', () => checkPinned(id, genesis.chainName, options));
  report.add('certificates', () => checkCertificates(genesis, [orderProof], verify));
  report.add('order', () => checkOrder(signed, id, verify));
  report.add('manifest', () => checkManifest(file.manifest, signed.order.manifest));
  const record = findRecord(report, file, job, verify);
  const array = record?.array;
  if (record && array) {
    report.add('money', () => checkArrayMoney(record, array));
    report.add('task', () => checkTaskUnits(file, record, array, verify));
  } else report.skip('money', 'task');
  const summary = record && { ...summaryOf(file, id, job, record), task: file.task };
  return { ok: report.ok, pinned, checks: report.checks, ...(summary && { summary }) };
}

/**
 * Checks a receipt with nothing but the file: entries, signatures, proofs, anchors, certificates,
 * money and completeness. `ok` needs a pinned chain, because keys inside a file prove nothing by
 * themselves. Never throws on any bytes.
 */
export function verifyReceipt(bytes: Bytes, options: VerifyReceiptOptions = {}): ReceiptVerdict {
  const verify = remembering(options.verify ?? verifySignature);
  const report = new Report();
  if (isTaskReceipt(bytes)) return verifyTaskReceipt(bytes, options, report, verify);
  const file = report.find('file', () => {
    const read = readReceipt(bytes);
    return [held(`a receipt of ${bytes.length} bytes, complete and canonical`), read];
  });
  if (!file) {
    report.skip(...CHECKS.slice(1));
    return { ok: false, pinned: false, checks: report.checks };
  }
  const { genesis, order: signed, orderProof } = file;
  const id = genesisId(genesis);
  const job = orderId(signed.order);
  const pinned = report.add('chain', () => checkPinned(id, genesis.chainName, options));
  report.add('certificates', () =>
    checkCertificates(genesis, [orderProof, ...file.anchors], verify),
  );
  report.add('order', () => checkOrder(signed, id, verify));
  report.add('manifest', () => checkManifest(file.manifest, signed.order.manifest));
  const log = checkLog(report, file, job, verify);
  if (log) checkAnchors(report, file, job, log, verify);
  else report.skip('anchors', 'checkpoints');
  const record = findRecord(report, file, job, verify);
  if (record) report.add('money', () => checkPaid(record));
  else report.skip('money');
  if (record && log) {
    report.add('delivery', () => checkWork(file, record, log, verify));
    const { height } = orderProof.header;
    report.add('complete', () => checkComplete(record, log, file.checkpoints, height));
  } else report.skip('delivery', 'complete');
  return {
    ok: report.ok,
    pinned,
    checks: report.checks,
    ...(record && { summary: summaryOf(file, id, job, record) }),
  };
}
