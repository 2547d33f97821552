/** What a public suite of test cases is to the conformance command. */
export interface CaseResult {
  readonly name: string;
  readonly passed: boolean;
  /** Why not. */
  readonly why?: string;
}

export type Suite = (folder: string) => Promise<readonly CaseResult[]>;

/** Runs one case; what it throws is why it failed. */
export async function runCase(
  name: string,
  body: () => Promise<string | undefined> | string | undefined,
): Promise<CaseResult> {
  try {
    const why = await body();
    return why === undefined ? { name, passed: true } : { name, passed: false, why };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { name, passed: false, why: why.slice(0, 500) };
  }
}
