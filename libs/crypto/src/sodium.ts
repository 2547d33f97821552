/** The prebuilt libsodium, where there is one for this system. */
export const sodium = await import('sodium-native').then(
  (module) => module.default,
  () => undefined,
);
