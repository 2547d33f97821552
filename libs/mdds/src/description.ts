/** What an owner says about a dataset, in plain values; `describeDataset` makes directories of it. */

/** Text by language (`{ en: 'Claims' }`), or one text in English. */
export type Words = string | Readonly<Record<string, string>>;

/**
 * What may be in the public directory beyond what every directory must say (title, description,
 * identifier, publisher, version, offer, and how a distribution is stored and encrypted). Everything
 * that is not listed is private.
 */
export const PUBLIC_PARTS = [
  ...(['keywords', 'themes', 'contact', 'temporal', 'spatial', 'quality', 'versionNotes'] as const),
  ...(['byteSize', 'checksum', 'rowCount', 'replicas', 'provenance'] as const),
] as const;
export type PublicPart = (typeof PUBLIC_PARTS)[number];

export const STORAGE_MECHANISMS = {
  ipfs: 'mdds:Ipfs',
  'on-chain-metadata-only': 'mdds:OnChainMetadataOnly',
  'object-store': 'mdds:ObjectStore',
  'local-file': 'mdds:LocalFile',
} as const;
export type StorageMechanism = keyof typeof STORAGE_MECHANISMS;

export interface ColumnDescription {
  readonly name: string;
  /** Built-in datatype of CSVW: `string`, `integer`, `decimal`, `boolean`, `date`, `dateTime`. */
  readonly datatype: string;
  /** `private` unless said otherwise. */
  readonly visibility?: 'public' | 'private';
  /** Whether the figures below may be public too; only with a public column. `private` by default. */
  readonly statistics?: 'public' | 'private';
  readonly semanticType?: string;
  /** IRI of a class of personal data (DPV). Such a column is private, whatever is asked for. */
  readonly personalData?: string;
  readonly nullRatio?: number;
  readonly distinct?: number;
  readonly minimum?: string;
  readonly maximum?: string;
}

export interface EncryptionDescription {
  readonly keyWrap: 'x25519' | 'cp-abe';
  readonly chunkSizeBytes: number;
  /** Attribute policy, for `cp-abe`. */
  readonly abePolicy?: string;
}

export interface DistributionDescription {
  /** Last part of its IRI: letters, digits, dots and dashes. */
  readonly id: string;
  /** As `text/csv`. */
  readonly mediaType: string;
  readonly mechanism: StorageMechanism;
  /** Where access is asked for; the dataset's IRI with `/access` by default. */
  readonly accessUrl?: string;
  readonly byteSize?: number;
  readonly rowCount?: number;
  /** SHA-256 of the plain bytes, hex. */
  readonly sha256?: string;
  readonly replicas?: number;
  readonly erasure?: { readonly dataShards: number; readonly shards: number };
  readonly encryption?: EncryptionDescription;
  /** Hash over domain, salt and root CID, hex. */
  readonly directoryRootHash?: string;
  /** Never public. */
  readonly rootCid?: string;
  /** Where the owner reads the data from. Never public. */
  readonly originalSource?: string;
  readonly columns?: readonly ColumnDescription[];
}

export interface OfferDescription {
  /** Price of one use, decimal text. */
  readonly price: string;
  /** IRI of the currency; `mdds:token` by default. */
  readonly currency?: string;
  readonly purpose?: string;
  /** Most uses. */
  readonly uses?: number;
}

/** A step of a rollout: which share of readers takes this version from a block on. */
export interface RolloutStep {
  readonly percent: number;
  readonly activationHeight: number;
}

export interface DatasetDescription {
  /** UAI of the dataset, as `chain://health.clinic/acc1/ds/claims`. */
  readonly uai: string;
  readonly title: Words;
  readonly description: Words;
  readonly publisher: { readonly iri: string; readonly name: string };
  readonly version: string;
  readonly previousVersion?: string;
  readonly versionNotes?: Words;
  /** When this version of the directory was made, ISO 8601 with a zone. */
  readonly modified: string;
  readonly keywords?: readonly string[];
  /** IRIs of concepts, with their names. */
  readonly themes?: readonly { readonly iri: string; readonly label: string }[];
  readonly contact?: { readonly name: string; readonly email?: string };
  /** Dates, as `2026-01-01`. */
  readonly temporal?: { readonly start?: string; readonly end?: string };
  /** Bounding box in WGS 84 degrees. */
  readonly spatial?: {
    readonly west: number;
    readonly south: number;
    readonly east: number;
    readonly north: number;
  };
  /** Share of values that are there, 0 to 1. */
  readonly completeness?: number;
  readonly offer: OfferDescription;
  readonly distributions: readonly DistributionDescription[];
  /** The activity that made this version. */
  readonly provenance?: { readonly used: string; readonly endedAt: string };
  readonly rollout?: readonly RolloutStep[];
  /** IRI of the public directory that the other readers keep. */
  readonly fallback?: string;
  /** The allow-list. */
  readonly publish?: readonly PublicPart[];
  /** Names of columns that a detector keeps private, whatever is asked for. */
  readonly vetoes?: readonly string[];
}
