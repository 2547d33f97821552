/** The part of sodium-native that is used; it ships no types. */
declare module 'sodium-native' {
  const sodium: {
    /** Throws for a signature that has not 64 bytes or a key that has not 32. */
    crypto_sign_verify_detached(
      signature: Uint8Array,
      message: Uint8Array,
      publicKey: Uint8Array,
    ): boolean;
  };
  export default sodium;
}
