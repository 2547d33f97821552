/** What gossiping peers say. */
import {
  type Bytes,
  type CodecValue,
  byteString,
  decodeWith,
  encodeWith,
  hash32,
  list,
  record,
  variant,
} from '#libs/kernel';

export const GOSSIP_ITEMS_MAX = 512;
export const GOSSIP_IDS_MAX = 1024;

function shapeOf(maxItemBytes: number) {
  const ids = record({ ids: list(hash32, GOSSIP_IDS_MAX) });
  return variant({
    /** Items, asked for or not. */
    push: record({ items: list(byteString(maxItemBytes), GOSSIP_ITEMS_MAX) }),
    /** Items to be had here. */
    have: ids,
    want: ids,
  });
}
export type GossipMessage = CodecValue<ReturnType<typeof shapeOf>>;

export interface GossipCodec {
  encode(message: GossipMessage): Bytes;
  /** @throws KERNEL_CBOR_INVALID, KERNEL_CBOR_LIMIT, KERNEL_SHAPE */
  decode(bytes: Bytes): GossipMessage;
}

export function createGossipCodec(maxItemBytes: number, maxMessageBytes: number): GossipCodec {
  const shape = shapeOf(maxItemBytes);
  return {
    encode: (message) => encodeWith(shape, message),
    decode: (bytes) => decodeWith(shape, bytes, { maxBytes: maxMessageBytes, maxDepth: 4 }),
  };
}
