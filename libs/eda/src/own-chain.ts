/** The chain of this node's own blocks in an era: what number comes next. */
import { type ChainEnd, ZERO_HASH } from './cuts.ts';
import type { BlockHead, SealedBlock } from './messages.ts';
import { OPEN_PER_AUTHOR } from './open-block.ts';
import { blockHash } from './positions.ts';

export class OwnChain {
  seq = 0;
  prev = ZERO_HASH;
  /** First era in which this node may make blocks. */
  fromEra = 0;

  enterEra(): void {
    this.seq = 0;
    this.prev = ZERO_HASH;
  }

  resume(end: ChainEnd): void {
    this.seq = end.seq;
    this.prev = end.hash;
  }

  /** A block of this node, made now or found in its journal. */
  note(block: SealedBlock): void {
    const { seq } = block.message;
    if (seq <= this.seq) return;
    this.seq = seq;
    this.prev = blockHash(block.message);
  }

  /** Head of the next block. */
  head(
    place: Pick<BlockHead, 'chain' | 'era' | 'author'>,
    txRoot: string,
    count: number,
  ): BlockHead {
    return { ...place, seq: this.seq + 1, prevOwn: this.prev, txRoot, count };
  }

  mayMake(era: number, end: ChainEnd): boolean {
    return era >= this.fromEra && this.seq < end.seq + OPEN_PER_AUTHOR;
  }
}
