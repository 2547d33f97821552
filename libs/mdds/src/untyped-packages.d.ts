/** What is used of packages that come without types. */
declare module 'rdf-canonize' {
  export function canonize(
    dataset: readonly object[],
    options: {
      readonly algorithm: 'RDFC-1.0';
      readonly messageDigestAlgorithm?: 'sha256' | 'sha384';
      readonly maxDeepIterations?: number;
      readonly canonicalIdMap?: Map<string, string>;
    },
  ): Promise<string>;
}

declare module 'shacl-engine' {
  import type { DataFactory, DatasetCore } from '@rdfjs/types';

  export class Validator {
    constructor(shapes: DatasetCore, options: { readonly factory: DataFactory });
    validate(data: { readonly dataset: DatasetCore }): Promise<unknown>;
  }
}
