import type { Suite } from './suite.ts';
export const croissant: Suite = async () => [];
