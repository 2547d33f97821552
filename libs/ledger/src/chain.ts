/**
 * A chain on a key-value store: executes cuts, commits blocks, answers questions about what is final.
 * One durable commit per block holds everything the block changed; whatever ends the process, the
 * store has the whole block or nothing of it.
 */
import { accountOf } from '#libs/crypto';
import type { EraParameters, ValidatorSet } from '#libs/eda';
import type { NodeWrites, StateTree } from '#libs/merkle';
import {
  ByteArena,
  type Bytes,
  type KeyValueStore,
  type KeyValueWrite,
  encodeWith,
  hasCode,
} from '#libs/kernel';
import {
  type Block,
  type Certificate,
  type CommittedBlock,
  type Header,
  certifiedHeader,
  encodeReceipt,
  entriesRoot,
} from './block.ts';
import { type ChainReads, createChainReads } from './chain-reads.ts';
import type { SystemContract } from './contract.ts';
import { type FeeShare, eraParametersOf, feeSharesOf, validatorsOf } from './eda-ordering.ts';
import { eraAfter, eraOn } from './eras.ts';
import { ledgerError } from './errors.ts';
import { nextHandover } from './handovers.ts';
import { type BlockOutcome, type DroppedTransaction, executeBlock } from './execute-block.ts';
import { LEDGER_STATE, fuelPriceOn } from './execute-transaction.ts';
import type { FeePort } from './fees.ts';
import { type ChainLimits, type Genesis, chainLimits } from './genesis.ts';
import { type StateChange, createStateJournal } from './journal.ts';
import {
  HEAD_KEY,
  encodeHeight,
  headerKey,
  packList,
  receiptsKey,
  stateReaderOf,
  transactionsKey,
} from './layout.ts';
import type { VerifySignature } from './frames.ts';
import { type Machine, createMachine } from './machine.ts';
import { type ChainHead, checkStoredChain, storeGenesis } from './open-chain.ts';
import { Unwritten } from './unwritten.ts';
import type { Cut, InvalidTransactions } from './ordering.ts';
import { headerHash } from './state-keys.ts';
import { genesisId, isCertifiedIn } from './state-proof.ts';
import { type StateCache, createStateCache } from './state-cache.ts';
import { openStateTree, stateWrites, updateStateTree } from './state-store.ts';
import type { UserContracts } from './user-frames.ts';
import { type TransactionEnvelope, hasValidSignature, readTransaction } from './transaction.ts';

export interface ChainOptions {
  readonly genesis: Genesis;
  readonly contracts: readonly SystemContract[];
  readonly fees: FeePort;
  readonly store: KeyValueStore;
  readonly verifySignature: VerifySignature;
  /** Runs user contracts; without it the chain has system contracts only. */
  readonly userContracts?: UserContracts;
  /** Branches of the state tree kept in memory, about 400 bytes each. */
  readonly maxCachedNodes?: number;
}

/** A cut that was executed and not stored: the chain moves on when it is committed. */
export interface Execution {
  readonly header: Header;
  readonly headerHash: string;
  readonly transactions: readonly TransactionEnvelope[];
  readonly receipts: CommittedBlock['receipts'];
  /** Left out of the block because they cannot be executed. */
  readonly dropped: readonly DroppedTransaction[];
}

export interface Chain extends ChainReads {
  /** Genesis id, hex. */
  readonly id: string;
  readonly genesis: Genesis;
  readonly limits: ChainLimits;
  /** The last committed block. */
  readonly head: ChainHead;
  /**
   * Executes a cut on the head. Signatures must have been checked. Nothing is stored, and an earlier
   * execution that was not committed is forgotten.
   * @throws LEDGER_BLOCK_INVALID, LEDGER_CONTRACT_FAULT, LEDGER_STOPPED
   */
  execute(cut: Cut, invalidTransactions: InvalidTransactions): Execution;
  /**
   * Stores the block, durably when it resolves, and `also` with it: what the ordering keeps per height.
   * @throws LEDGER_CERTIFICATE_INVALID; any storage error, after which the process must end
   */
  commit(
    execution: Execution,
    certificate: Certificate,
    also?: readonly KeyValueWrite[],
  ): Promise<CommittedBlock>;
  /**
   * Checks, executes and commits a block that somebody else made.
   * @throws LEDGER_BLOCK_INVALID, LEDGER_CERTIFICATE_INVALID
   */
  apply(block: Block, also?: readonly KeyValueWrite[]): Promise<CommittedBlock>;
  /** Era of the block that follows the head; 0 where one sequencer orders. */
  readonly era: number;
  /** Validators of an era, as the last block's state says. */
  validators(era: number): ValidatorSet;
  /** What validators changed of consensus as of an era, as the last block's state says. */
  eraParameters(era: number): EraParameters;
  /** How the validators change after the era of the head, once: to be stored with the next block. */
  handover(): KeyValueWrite | undefined;
  /** Whether a certificate holds with the sets that this chain's own state names, and is of the header's era. */
  isCertified(header: Header, certificate: Certificate): boolean;
}

interface Pending {
  readonly execution: Execution;
  /** State entries. */
  readonly writes: readonly KeyValueWrite[];
  readonly nodes: NodeWrites;
  readonly receiptBytes: readonly Bytes[];
  readonly changes: readonly StateChange[];
}

class StoredChain {
  readonly id: string;
  readonly genesis: Genesis;
  readonly limits: ChainLimits;
  head: ChainHead;
  readonly #options: ChainOptions;
  readonly #machine: Machine;
  readonly #state: StateCache;
  readonly #unwritten: Unwritten;
  #tree: StateTree;
  #pending: Pending | undefined;
  #isCommitting = false;
  #failure: unknown;

  constructor(
    options: ChainOptions,
    machine: Machine,
    state: StateCache,
    unwritten: Unwritten,
    id: string,
    head: ChainHead,
  ) {
    this.id = id;
    this.genesis = options.genesis;
    this.limits = chainLimits(options.genesis.parameters);
    this.head = head;
    this.#options = options;
    this.#machine = machine;
    this.#state = state;
    this.#unwritten = unwritten;
    this.#tree = this.#openTree();
  }

  #openTree(): StateTree {
    return openStateTree(this.#unwritten.nodes, this.#options.maxCachedNodes);
  }

  execute(cut: Cut, invalidTransactions: InvalidTransactions): Execution {
    this.#checkReady();
    const { head } = this;
    if (cut.height !== head.header.height + 1 || cut.parent !== head.hash)
      throw ledgerError(
        'LEDGER_BLOCK_INVALID',
        `block ${cut.height} does not follow block ${head.header.height}`,
      );
    if (!Number.isSafeInteger(cut.timeUs) || cut.timeUs < head.header.timeUs)
      throw ledgerError(
        'LEDGER_BLOCK_INVALID',
        `block ${cut.height} has time ${cut.timeUs}, before its parent's ${head.header.timeUs}`,
      );
    const outcome = this.#runCut(cut, invalidTransactions);
    if (this.#pending) this.#tree = this.#openTree(); // It holds the changes of a forgotten block.
    const { root: stateRoot, nodes } = updateStateTree(this.#tree, outcome.changes);
    const arena = new ByteArena();
    const receiptBytes = outcome.receipts.map((receipt) => encodeReceipt(receipt, arena));
    const header: Header = {
      chain: this.id,
      height: cut.height,
      parent: cut.parent,
      timeUs: cut.timeUs,
      transactionsRoot: entriesRoot(outcome.transactions.map(({ bytes }) => bytes)),
      receiptsRoot: entriesRoot(receiptBytes),
      stateRoot,
      fuelUsed: outcome.fuelUsed,
      ...(cut.decision === undefined ? {} : { decision: cut.decision }),
    };
    const { transactions, receipts, dropped } = outcome;
    const execution = { header, headerHash: headerHash(header), transactions, receipts, dropped };
    this.#pending = {
      execution,
      writes: stateWrites(outcome.changes),
      nodes,
      receiptBytes,
      changes: outcome.changes,
    };
    return execution;
  }

  /**
   * A failure of the host is never a result: everything is discarded, the loaded contracts too, and
   * the cut runs once more; what fails again stops the chain.
   */
  #runCut(cut: Cut, invalidTransactions: InvalidTransactions): BlockOutcome {
    const state = this.#state;
    const fuelPrice = fuelPriceOn(state, this.limits, cut.timeUs);
    const { era } = this;
    const feeShares = this.#feeShares(era);
    const parentTimeUs = this.head.header.timeUs;
    const { height, parent, timeUs } = cut;
    const nextEra = eraAfter(era, this.genesis, { parentTimeUs, timeUs });
    const run = () =>
      executeBlock(
        {
          machine: this.#machine,
          journal: createStateJournal(state),
          parentTimeUs,
          era,
          fuelPrice,
          fees: this.#options.fees,
          limits: this.limits,
          block: { chain: this.id, height, parent, timeUs, era: nextEra },
          loadedContracts: new Set(),
        },
        cut.transactions,
        feeShares,
        invalidTransactions,
      );
    try {
      return run();
    } catch (error) {
      if (!hasCode(error, 'VM_HOST_FAULT')) throw error;
      this.#options.userContracts?.reset();
      return run();
    }
  }

  get era(): number {
    return eraOn(this.#state, this.genesis);
  }

  #feeShares(era: number): readonly FeeShare[] {
    const { ordering } = this.genesis;
    if (ordering.kind === 'solo') return [{ account: accountOf(ordering.sequencer), weight: 1 }];
    const state = this.#state;
    return feeSharesOf(validatorsOf(state, ordering, era));
  }

  #checkReady(): void {
    if (this.#failure)
      throw ledgerError('LEDGER_STOPPED', 'a block could not be stored', { cause: this.#failure });
    if (this.#isCommitting)
      throw ledgerError('LEDGER_BLOCK_INVALID', 'a block is being stored: wait for it');
  }

  validators(era: number): ValidatorSet {
    const { ordering } = this.genesis;
    if (ordering.kind === 'solo')
      throw ledgerError('LEDGER_GENESIS_INVALID', 'a solo chain has no validators');
    return validatorsOf(this.#state, ordering, era);
  }

  eraParameters(era: number): EraParameters {
    return eraParametersOf(this.#state, era);
  }

  isCertified(header: Header, certificate: Certificate): boolean {
    const { verifySignature } = this.#options;
    const isNext = header.height === this.head.header.height + 1;
    // The era is not signed: a set that left office must not certify what comes after it.
    if (isNext && certificate.kind === 'eda' && certificate.era !== this.era) return false;
    return isCertifiedIn(this.#state, this.genesis, header, certificate, verifySignature);
  }

  async commit(
    execution: Execution,
    certificate: Certificate,
    also: readonly KeyValueWrite[] = [],
  ): Promise<CommittedBlock> {
    this.#checkReady();
    const pending = this.#pending;
    if (pending?.execution !== execution)
      throw ledgerError('LEDGER_BLOCK_INVALID', 'this execution has been forgotten');
    const { header, headerHash: hash, transactions, receipts } = execution;
    const { store } = this.#options;
    if (!this.isCertified(header, certificate))
      throw ledgerError('LEDGER_CERTIFICATE_INVALID', `block ${header.height} is not certified`);
    const { receiptBytes, writes, nodes } = pending;
    const { height } = header;
    const stateKeys = writes.map(({ key }) => key);
    this.#isCommitting = true;
    try {
      await store.commit([
        ...writes,
        ...this.#unwritten.stage({ height, nodes, stateKeys, receipts, receiptBytes }),
        ...blockWrites(execution, certificate, receiptBytes),
        ...also,
      ]);
    } catch (error) {
      this.#failure = error; // Stored or not, only reopening can tell.
      throw error;
    } finally {
      this.#isCommitting = false;
    }
    this.#pending = undefined;
    this.#unwritten.stored();
    this.#state.committed(pending.changes);
    this.head = { header, hash, certificate };
    return { header, hash, certificate, transactions, receipts, receiptBytes };
  }

  async apply(block: Block, also: readonly KeyValueWrite[] = []): Promise<CommittedBlock> {
    const { header, certificate } = block;
    const { verifySignature } = this.#options;
    const invalid = (why: string) =>
      ledgerError('LEDGER_BLOCK_INVALID', `block ${header.height}: ${why}`);
    if (!this.isCertified(header, certificate))
      throw ledgerError('LEDGER_CERTIFICATE_INVALID', `block ${header.height} is not certified`);
    const transactions = block.transactions.map(readTransaction);
    for (const transaction of transactions)
      if (!hasValidSignature(transaction, verifySignature))
        throw invalid(`transaction ${transaction.id} has a wrong signature`);
    const { height, parent, timeUs, decision } = header;
    const cut: Cut = {
      height,
      parent,
      timeUs,
      transactions,
      ...(decision === undefined ? {} : { decision }),
    };
    const execution = this.execute(cut, 'keep');
    if (execution.headerHash !== headerHash(header))
      throw invalid('executing it gives another header');
    return this.commit(execution, certificate, also);
  }
}

function blockWrites(
  { header, transactions }: Execution,
  certificate: Certificate,
  receiptBytes: readonly Bytes[],
): KeyValueWrite[] {
  const { height } = header;
  return [
    { key: HEAD_KEY, value: encodeHeight(height) },
    { key: headerKey(height), value: encodeWith(certifiedHeader, { header, certificate }) },
    { key: transactionsKey(height), value: packList(transactions.map((t) => t.bytes)) },
    { key: receiptsKey(height), value: packList(receiptBytes) },
  ];
}

/**
 * Opens the chain in a store, or begins it there by running the genesis.
 * @throws LEDGER_GENESIS_MISMATCH, LEDGER_DATA_CORRUPT, storage errors
 */
export async function createChain(options: ChainOptions): Promise<Chain> {
  const { genesis, store } = options;
  const id = genesisId(genesis);
  const machine = createMachine(options);
  const head =
    (await checkStoredChain(store, genesis, id, options.verifySignature)) ??
    (await storeGenesis(store, genesis, id, machine));
  const state = createStateCache(stateReaderOf(store), [LEDGER_STATE, ...machine.contracts.keys()]);
  const unwritten = new Unwritten(store, head.header.height);
  const chain = new StoredChain(options, machine, state, unwritten, id, head);
  const { limits } = chain;
  const reads = createChainReads(
    { store, state, unwritten, machine, id, limits },
    options.fees,
    () => chain.head,
    () => chain.era,
  );
  return Object.assign(chain, reads, {
    handover: () => nextHandover(store, chain.head.certificate, reads.prove),
  });
}
