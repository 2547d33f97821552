import { readFileSync } from 'node:fs';

const swc = JSON.parse(readFileSync(new URL('.swcrc', import.meta.url), 'utf8'));
delete swc.$schema;
swc.jsc.rewriteRelativeImportExtensions = false; // jest loads the .ts sources themselves

const base = {
  rootDir: import.meta.dirname,
  testEnvironment: 'node',
  // The `source` condition makes `#libs/*` resolve to TypeScript, so tests need no build.
  testEnvironmentOptions: { customExportConditions: ['source', 'node', 'node-addons'] },
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '\\.ts$': ['@swc/jest', swc] },
  modulePathIgnorePatterns: ['<rootDir>/dist', '<rootDir>/test/bench/peers'],
};

/** With what Nest needs before it is imported; 0.15 s of every file, so only where it is. */
const withNest = { ...base, setupFiles: ['<rootDir>/test/setup.ts'] };

// Whole machines under faults, minutes of them: `npm run test:long`, not part of `npm test`.
const long = { ...withNest, displayName: 'long', testMatch: ['<rootDir>/test/**/*.long-spec.ts'] };

export default {
  // Nothing waits that long where nothing is wrong: a hang is to be told from a machine that is loaded.
  testTimeout: 120_000,
  maxWorkers: 2,
  // A worker keeps some 30 MB of every file it ran: collecting that, and forking from it, gets slower.
  workerIdleMemoryLimit: '700MB',
  projects: [
    {
      ...base,
      displayName: 'unit',
      testMatch: ['<rootDir>/{libs,contracts,sandbox,tools,test/bench}/**/*.spec.ts'],
      testPathIgnorePatterns: ['/node_modules/', '<rootDir>/libs/platform/'],
    },
    {
      ...withNest,
      displayName: 'apps',
      testMatch: ['<rootDir>/{apps,libs/platform}/**/*.spec.ts'],
    },
    { ...base, displayName: 'conformance', testMatch: ['<rootDir>/test/conformance/**/*.spec.ts'] },
    { ...base, displayName: 'simulation', testMatch: ['<rootDir>/test/simulation/**/*.spec.ts'] },
    { ...withNest, displayName: 'e2e', testMatch: ['<rootDir>/test/**/*.e2e-spec.ts'] },
    {
      ...withNest,
      displayName: 'system',
      testMatch: ['<rootDir>/test/system/**/*.system-spec.ts'],
    },
    ...(process.env.SEELE_TEST_LONG === undefined ? [] : [long]),
  ],
};
