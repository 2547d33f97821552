import { readFileSync } from 'node:fs';
import { createSeededRandomness, formatAccount, utf8 } from '#libs/kernel';
import {
  createNonceWindow,
  createSigner,
  generateKeyPair,
  openKeystore,
  sealKeystore,
  signRequest,
  verifyRequest,
} from './index.ts';

const randomness = createSeededRandomness(1);
const passphrase = 'correct horse battery staple';
const nowS = 1_767_225_600;

// From here to the end mark, docs/keys-and-signatures.md shows these very lines.
function sendSigned() {
  // A key, in a file that only the passphrase opens.
  const file = sealKeystore(generateKeyPair(randomness).seed, passphrase, randomness);
  const signer = createSigner(openKeystore(file, passphrase).seed);

  // The client signs method, address and body.
  const request = { method: 'POST', url: 'http://127.0.0.1:7400/v1/orders', body: utf8('…') };
  const nonce = '9f86d081884c7d659a2feaa0c55ad015';
  const headers = signRequest(request, signer, { nowS, nonce });

  // The server checks them and takes each nonce once.
  const nonces = createNonceWindow(100_000);
  const proof = verifyRequest({ ...request, headers }, { nowS });
  nonces.use(proof.publicKey, proof.nonce, proof.expiresS, nowS);
  return formatAccount(proof.account); // seele1…
}
// End of the example.

describe('docs/keys-and-signatures.md', () => {
  it('shows an example that runs', () => {
    const page = readFileSync(
      new URL('../../../docs/keys-and-signatures.md', import.meta.url),
      'utf8',
    );
    const source = readFileSync(import.meta.filename, 'utf8');
    const example = /md shows these very lines\.\n([^]*?)\/\/ End of the example/.exec(source);
    expect(page).toContain(example?.[1]?.trim() ?? 'no example');
    expect(sendSigned()).toMatch(/^seele1/);
  });
});
