/** The part of sodium-native that is used; it ships no types. */
declare module 'sodium-native' {
  const sodium: {
    /** Throws for a signature that has not 64 bytes or a key that has not 32. */
    crypto_sign_verify_detached(
      signature: Uint8Array,
      message: Uint8Array,
      publicKey: Uint8Array,
    ): boolean;
    crypto_hash_sha512(output: Uint8Array, input: Uint8Array): void;
    /** The following write into their first argument, and throw for what they refuse. */
    crypto_scalarmult_ed25519_noclamp(q: Uint8Array, n: Uint8Array, p: Uint8Array): void;
    crypto_scalarmult_ed25519_base_noclamp(q: Uint8Array, n: Uint8Array): void;
    crypto_core_ed25519_add(r: Uint8Array, p: Uint8Array, q: Uint8Array): void;
    crypto_core_ed25519_sub(r: Uint8Array, p: Uint8Array, q: Uint8Array): void;
    crypto_core_ed25519_is_valid_point(p: Uint8Array): boolean;
  };
  export default sodium;
}
