/**
 * What a network of finite speed does to a message: it waits for the sender's uplink, travels, waits
 * for the receiver's downlink, then for the receiver's processor. The same model serves EDA and the
 * PBFT baseline.
 *
 * Bulk (blocks of transactions) leaves when nothing else wants the uplink, as with a stream of its own
 * and a lower priority. Transactions' signatures are checked on a core beside the one that runs
 * consensus.
 */
export interface LinkModel {
  /** Bits per second, each way. */
  readonly bitsPerSecond: number;
  /** Checking one signature of a consensus message, and everything else a message costs. */
  readonly signatureUs: number;
  readonly messageUs: number;
  readonly entryUs: number;
  /** Checking the signature of one transaction. */
  readonly transactionUs: number;
  readonly transactionBytes: number;
}

/** 100 Mbit/s; ed25519 at 26 000 checks a second and core, transactions of 250 bytes. */
export const LINKS_100_MBIT: LinkModel = {
  bitsPerSecond: 100e6,
  signatureUs: 38,
  messageUs: 10,
  entryUs: 0.5,
  transactionUs: 38,
  transactionBytes: 250,
};

/** What a message weighs on links and processors. */
export interface Load {
  readonly bytes: number;
  readonly signatures: number;
  readonly entries: number;
  readonly transactions: number;
}

interface Uplink {
  /** Time at which what has priority has left. */
  freeUs: number;
  isBulkBusy: boolean;
  /** Time that what has priority took from the bulk now leaving. */
  owedUs: number;
  readonly bulk: { readonly tookUs: number; readonly leaves: () => void }[];
}

/** Calls `run` after so long. */
export type Schedule = (delayUs: number, run: () => void) => void;

export class Links {
  readonly #model: LinkModel;
  readonly #schedule: Schedule;
  readonly #uplinks: Uplink[];
  readonly #downFreeUs: number[];
  /** Two cores: consensus, transactions. */
  readonly #coreFreeUs: number[][];
  /** Busy time of the consensus core of all nodes. */
  consensusUs = 0;
  /** Bits that left all uplinks, by class. */
  readonly sentBits = { control: 0, bulk: 0 };

  constructor(nodes: number, model: LinkModel, schedule: Schedule) {
    this.#model = model;
    this.#schedule = schedule;
    this.#uplinks = Array.from({ length: nodes }, () => ({
      freeUs: 0,
      isBulkBusy: false,
      owedUs: 0,
      bulk: [],
    }));
    this.#downFreeUs = Array.from({ length: nodes }, () => 0);
    this.#coreFreeUs = Array.from({ length: nodes }, () => [0, 0]);
  }

  #wireUs(bytes: number): number {
    return (bytes * 8e6) / this.#model.bitsPerSecond;
  }

  /** `leaves` is called when the last bit is on its way. */
  send(from: number, load: Load, nowUs: number, leaves: () => void): void {
    const uplink = this.#uplinks[from] as Uplink;
    const tookUs = this.#wireUs(load.bytes);
    if (load.transactions > 0) {
      this.sentBits.bulk += load.bytes * 8;
      uplink.bulk.push({ tookUs, leaves });
      if (!uplink.isBulkBusy) this.#nextBulk(uplink, nowUs);
      return;
    }
    this.sentBits.control += load.bytes * 8;
    uplink.freeUs = Math.max(uplink.freeUs, nowUs) + tookUs;
    if (uplink.isBulkBusy) uplink.owedUs += tookUs;
    this.#schedule(uplink.freeUs - nowUs, leaves);
  }

  #nextBulk(uplink: Uplink, nowUs: number): void {
    const next = uplink.bulk.shift();
    uplink.isBulkBusy = next !== undefined;
    if (!next) return;
    const waitsUs = Math.max(uplink.owedUs, 0, uplink.freeUs - nowUs);
    uplink.owedUs = 0;
    this.#schedule(waitsUs + next.tookUs, () => {
      next.leaves();
      this.#nextBulk(uplink, nowUs + waitsUs + next.tookUs);
    });
  }

  /** When the receiver has taken in and handled a message whose first bit arrives at `atUs`. */
  handledUs(to: number, load: Load, atUs: number): number {
    const { signatureUs, messageUs, entryUs, transactionUs } = this.#model;
    // Bits arrive as they left, so an idle downlink adds nothing to what the uplink took.
    const wireUs = this.#wireUs(load.bytes);
    const inUs = Math.max(atUs, (this.#downFreeUs[to] as number) + wireUs);
    this.#downFreeUs[to] = inUs;
    const cores = this.#coreFreeUs[to] as number[];
    const checkUs = load.transactions * transactionUs;
    const checkedUs = checkUs > 0 ? Math.max(inUs, cores[1] as number) + checkUs : inUs;
    if (checkUs > 0) cores[1] = checkedUs;
    const workUs = messageUs + signatureUs * load.signatures + entryUs * load.entries;
    this.consensusUs += workUs;
    // A block waits for its transactions without holding up what comes after it.
    if (checkUs > 0) return checkedUs + workUs;
    cores[0] = Math.max(inUs, cores[0] as number) + workUs;
    return cores[0];
  }
}
