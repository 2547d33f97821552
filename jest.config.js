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
  setupFiles: ['<rootDir>/test/setup.ts'],
  modulePathIgnorePatterns: ['<rootDir>/dist', '<rootDir>/test/bench/peers'],
};

// Whole machines under faults, minutes of them: `npm run test:long`, not part of `npm test`.
const long = { ...base, displayName: 'long', testMatch: ['<rootDir>/test/**/*.long-spec.ts'] };

export default {
  testTimeout: 30_000,
  maxWorkers: 2,
  projects: [
    {
      ...base,
      displayName: 'unit',
      testMatch: ['<rootDir>/{apps,libs,contracts,sandbox,tools,test/bench}/**/*.spec.ts'],
    },
    { ...base, displayName: 'conformance', testMatch: ['<rootDir>/test/conformance/**/*.spec.ts'] },
    { ...base, displayName: 'simulation', testMatch: ['<rootDir>/test/simulation/**/*.spec.ts'] },
    { ...base, displayName: 'e2e', testMatch: ['<rootDir>/test/**/*.e2e-spec.ts'] },
    { ...base, displayName: 'system', testMatch: ['<rootDir>/test/system/**/*.system-spec.ts'] },
    ...(process.env.SEELE_TEST_LONG === undefined ? [] : [long]),
  ],
};
