/** The provider's side of the agent protocol as a state machine, and the hello both sides check. */
export * from './agent.ts';
export * from './entries.ts';
export * from './hello.ts';
export * from './model.ts';
