/** `seele node finality HEIGHT`: how strongly a block is final, checked against the genesis of this home. */
import { readFileSync } from 'node:fs';
import { verifySignature } from '#libs/crypto';
import { decodeGenesis, verifyFinalityProof } from '#libs/ledger';
import { createNodeClient } from '#libs/platform';
import { type CommandContext, wholeNumber } from '../frame/command.ts';
import { serviceUrl } from '../frame/connect.ts';

export interface NodeFinalityOptions {
  readonly node?: string;
  readonly genesis?: string;
  readonly [name: string]: unknown;
}

/** Asks a node for the attestations, and believes it nothing: all is checked here. */
export async function nodeFinality(
  context: CommandContext,
  options: NodeFinalityOptions,
  heightText: string,
): Promise<void> {
  const { home, output } = context;
  const height = wholeNumber('HEIGHT', heightText, 1);
  const genesis = decodeGenesis(readFileSync(options.genesis ?? home.genesis));
  const node = createNodeClient(serviceUrl(context, 'node', options.node));
  const proof = await node.finalityProof(height);
  const found = verifyFinalityProof(genesis, proof, verifySignature);
  const share = found.weight / found.total;
  output.answer({ ...found, share }, () => {
    output.line(
      `block ${found.height}: weight ${found.weight} of ${found.total} (${Math.round(share * 100)} %) would have to have lied for it to be undone`,
    );
    output.line(
      `  attested at block ${found.checkpoint}; checked against the genesis of this home`,
    );
  });
}
