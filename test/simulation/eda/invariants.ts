/** What must hold after every event, whatever happens. */
import type { Body, Certificate, EdaMessage, JournalRecord, ValidatorSet } from '#libs/eda';

export interface Violation {
  readonly invariant: string;
  readonly text: string;
  readonly atUs: number;
}

interface BlockFacts {
  readonly hash: string;
  readonly era: number;
  readonly author: number;
  readonly isHonest: boolean;
  minX0: number;
  maxX0: number;
  holders: Set<number>;
  availableAtUs?: number;
  finalSlot?: number;
}

export class Invariants {
  readonly violations: Violation[] = [];
  checked = 0;
  readonly cuts: {
    readonly body: Body;
    readonly certificate: Certificate;
    readonly atUs: number;
  }[] = [];
  readonly blocks = new Map<string, BlockFacts>();
  readonly #votes = new Map<string, string>();
  readonly #listed = new Map<string, number>();
  readonly #seqs = new Map<string, number>();
  readonly #set: ValidatorSet;
  readonly #epsilonUs: number;
  /** Claims about positions hold for honest clocks within a connected network only. */
  checksPositions = true;

  constructor(set: ValidatorSet, epsilonUs: number) {
    this.#set = set;
    this.#epsilonUs = epsilonUs;
  }

  #check(holds: boolean, invariant: string, text: () => string, atUs: number): void {
    this.checked += 1;
    if (!holds) this.violations.push({ invariant, text: text(), atUs });
  }

  /** An honest node wrote a block down (and acknowledges it from now on). */
  onHeld(
    node: number,
    record: Extract<JournalRecord, { kind: 'block' }>,
    hash: string,
    isHonest: boolean,
  ) {
    const { author, era } = record.block.message;
    const facts: BlockFacts = this.blocks.get(hash) ?? {
      hash,
      era,
      author,
      isHonest,
      minX0: Number.POSITIVE_INFINITY,
      maxX0: Number.NEGATIVE_INFINITY,
      holders: new Set(),
    };
    this.blocks.set(hash, facts);
    facts.holders.add(node);
    facts.minX0 = Math.min(facts.minX0, record.x0);
    facts.maxX0 = Math.max(facts.maxX0, record.x0);
  }

  onAvailable(hash: string, atUs: number): void {
    const facts = this.blocks.get(hash);
    if (facts) facts.availableAtUs ??= atUs;
  }

  /** An honest node said something signed. */
  onSaid(node: number, message: EdaMessage, digest: string, atUs: number): void {
    const { kind } = message;
    if (kind !== 'prepare' && kind !== 'commit' && kind !== 'newview' && kind !== 'tick') return;
    const where =
      kind === 'tick' ? message.message.k : `${message.message.slot}/${message.message.view}`;
    const key = `${node}/${kind}/${where}`;
    const before = this.#votes.get(key);
    this.#check(
      before === undefined || before === digest,
      'one vote',
      () => `node ${node} said two things as ${kind} ${where}`,
      atUs,
    );
    this.#votes.set(key, digest);
  }

  /** An honest node holds a cut final. */
  onDecided(node: number, body: Body, certificate: Certificate, atUs: number): void {
    const { hash } = certificate;
    const known = this.cuts[body.slot - 1];
    if (known) {
      this.#check(
        known.certificate.hash === hash,
        'one cut per slot',
        () =>
          `node ${node} has ${hash.slice(0, 8)} in slot ${body.slot}, others ${known.certificate.hash.slice(0, 8)}`,
        atUs,
      );
      return;
    }
    const before = this.cuts[body.slot - 2];
    this.#check(
      body.slot === this.cuts.length + 1 && (!before || body.prevHash === before.certificate.hash),
      'prefix',
      () => `slot ${body.slot} of node ${node} does not follow`,
      atUs,
    );
    const prevUs = before?.body.timeUs ?? 0;
    this.#check(body.timeUs > prevUs, 'time grows', () => `slot ${body.slot}`, atUs);
    this.cuts.push({ body, certificate, atUs });
    for (const entry of body.entries) this.#onListed(body, certificate, entry, prevUs, atUs);
  }

  #onListed(
    body: Body,
    certificate: Certificate,
    entry: Body['entries'][number],
    prevUs: number,
    atUs: number,
  ): void {
    const { era, author, seq, hash, pos, raw } = entry;
    const what = () => `block ${author}/${seq} (${hash.slice(0, 8)}) in slot ${body.slot}`;
    this.#check(!this.#listed.has(hash), 'no block twice', what, atUs);
    this.#listed.set(hash, body.slot);
    const chain = `${era}/${author}`;
    this.#check(seq === (this.#seqs.get(chain) ?? 0) + 1, 'no gap, no seq twice', what, atUs);
    this.#seqs.set(chain, seq);
    this.#check(pos > prevUs && pos <= body.timeUs, 'position inside the cut', what, atUs);
    const facts = this.blocks.get(hash);
    let weight = 0;
    for (const holder of facts?.holders ?? []) weight += this.#set.weights[holder] ?? 0;
    const needed = this.#set.quorum - this.#set.lying;
    this.#check(
      weight >= needed,
      'bodies outlive failures',
      () => `${what()}: held by ${weight} of ${needed}`,
      atUs,
    );
    if (!facts) return;
    facts.finalSlot = body.slot;
    if (!facts.isHonest || !this.checksPositions) return;
    const slack = 2 * this.#epsilonUs;
    this.#check(raw >= facts.minX0 - slack, 'position not before anybody saw it', what, atUs);
    if (certificate.view === 0)
      this.#check(raw <= facts.maxX0 + slack, 'position not after everybody saw it', what, atUs);
  }

  /**
   * Claim (b): well separated honest blocks in the order in which they were held, over all cuts; pairs
   * that came out reversed. Of blocks first held after `fromUs`, listed in view `viewMax` or before.
   */
  inversions(fromUs = Number.NEGATIVE_INFINITY, viewMax = Number.POSITIVE_INFINITY): number {
    const order = this.cuts
      .filter(({ certificate }) => certificate.view <= viewMax)
      .flatMap(({ body }) => body.entries.map(({ hash }) => hash));
    let inversions = 0;
    let latest = Number.NEGATIVE_INFINITY;
    for (const hash of order) {
      const facts = this.blocks.get(hash);
      if (!facts?.isHonest || facts.minX0 < fromUs) continue;
      if (facts.maxX0 + 4 * this.#epsilonUs < latest) inversions += 1;
      latest = Math.max(latest, facts.minX0);
    }
    return inversions;
  }

  /** After the network was well from `healedUs` on: claim (b). */
  orderAfter(healedUs: number, atUs: number): void {
    if (!this.checksPositions) return;
    const inversions = this.inversions(healedUs, 0);
    this.#check(inversions === 0, 'well separated blocks in order', () => `${inversions}`, atUs);
  }

  /** At the end of a run in which everything was healed: what is available is final. */
  atEnd(atUs: number, settledBeforeUs: number): void {
    for (const facts of this.blocks.values()) {
      if (!facts.isHonest || facts.availableAtUs === undefined) continue;
      if (facts.availableAtUs > settledBeforeUs) continue;
      this.#check(
        facts.finalSlot !== undefined,
        'available blocks become final',
        () =>
          `block of ${facts.author} (${facts.hash.slice(0, 8)}) available at ${facts.availableAtUs}`,
        atUs,
      );
    }
  }
}
