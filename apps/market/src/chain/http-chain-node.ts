/** `ChainNode` over the HTTP API of the node process. */
import { hasCode } from '#libs/kernel';
import { decodeReceipt } from '#libs/ledger';
import { createNodeClient } from '#libs/platform';
import type { ChainNode } from './chain-node.ts';

export function createHttpChainNode(url: string): ChainNode {
  const client = createNodeClient(url);
  return {
    status: async () => {
      const { genesis, height } = await client.status();
      return { chain: genesis, height };
    },
    genesis: () => client.genesis(),
    nonce: async (account) => {
      const { nonce } = await client.account(account);
      // Asked afterwards, so the nonce is at most as old as this height.
      const { height } = await client.status();
      return { nonce, height };
    },
    state: async (contract, key) => {
      try {
        const { value, header } = await client.prove(contract, key);
        return { value, height: header.height };
      } catch (error) {
        // Block 0 has no certificate and hence no proofs; its state is the genesis.
        if (!hasCode(error, 'LEDGER_NOT_FOUND')) throw error;
        return { value: await client.state(contract, key), height: 0 };
      }
    },
    prove: (contract, key) => client.prove(contract, key),
    submit: async (transactions) => {
      const results = await client.submit(transactions);
      return results.map((result) =>
        result.accepted ? { accepted: true } : { accepted: false, code: result.error.code },
      );
    },
    async *blocks(fromHeight, signal) {
      for await (const { block, receipts } of client.blocks(fromHeight, signal))
        yield { block, receipts: receipts.map(decodeReceipt) };
    },
  };
}
