/** What a metadata document may be at most. Anyone can publish one, and every node reads it. */
export const MDDS_LIMITS = {
  documentBytesMax: 16 * 1024 * 1024,
  quadsMax: 65_536,
  iriCharsMax: 2_048,
  literalBytesMax: 65_536,
  /** Blank nodes inside blank nodes, lists in lists, objects in JSON-LD objects. */
  depthMax: 32,
} as const;
export type MddsLimits = { readonly [limit in keyof typeof MDDS_LIMITS]: number };
