/**
 * The house rules of imports (ARCHITECTURE.md draws what they leave): down only, through index.ts
 * only, apps never import apps, and the libraries of the domain touch nothing of Node.
 */

/** Bottom to top: a part imports only parts that stand before it. */
const layers = [
  ...['kernel', 'crypto', 'merkle', 'erasure', 'scheduler', 'eda', 'qvic', 'vm', 'abe', 'mpc'],
  ...['store', 'net', 'ledger', 'contracts', 'forest', 'vtp', 'audit', 'storage', 'mdds', 'access'],
  ...['market', 'platform', 'sdk', 'deals', 'data', 'sandbox', 'apps'],
];
const outsideLibs = { contracts: '^contracts/', sandbox: '^sandbox/', apps: '^apps/' };
const folderOf = (layer) => outsideLibs[layer] ?? `^libs/${layer}/`;
const tests = String.raw`(\.spec|\.e2e-spec|\.system-spec|\.long-spec|\.conformance)\.ts$`;

/** Libraries whose code is a function of its arguments. */
const pure = [
  ...['kernel', 'merkle', 'erasure', 'scheduler', 'eda', 'qvic', 'vm', 'abe', 'mpc', 'ledger'],
  ...['forest', 'vtp', 'audit', 'mdds', 'access', 'market'],
];
const purePaths = [`^libs/(${pure.join('|')})/src/`, '^contracts/'];
const nodeModule = String.raw`node_modules/`;

/** Imports against the layers; contracts may read the name syntax of vtp, which is pure. */
const layerRules = layers.slice(0, -1).map((layer, i) => ({
  name: `layer-${layer}`,
  comment: `${layer} stands below what it imports: move the shared part down, or the caller up.`,
  severity: 'error',
  from: { path: folderOf(layer), pathNot: tests },
  to: {
    path: layers
      .slice(i + 1)
      .filter((above) => !(layer === 'contracts' && above === 'vtp'))
      .map(folderOf),
  },
}));

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    ...layerRules,
    {
      name: 'vtp-not-contracts',
      comment: 'contracts reads the name syntax of vtp, so vtp must not import contracts.',
      severity: 'error',
      from: { path: '^libs/vtp/' },
      to: { path: '^contracts/' },
    },
    {
      name: 'index-only',
      comment: 'A library is entered through its index.ts, by #libs/<name>.',
      severity: 'error',
      from: { path: '^libs/([^/]+)/' },
      to: {
        path: '^libs/',
        pathNot: [String.raw`^libs/$1/`, String.raw`^libs/[^/]+/src/index\.ts$`],
      },
    },
    {
      name: 'index-only-from-outside',
      comment: 'A library is entered through its index.ts, by #libs/<name>.',
      severity: 'error',
      from: { path: '^(apps|contracts|sandbox|tools|test)/' },
      to: { path: '^libs/', pathNot: [String.raw`^libs/[^/]+/src/index\.ts$`, tests] },
    },
    {
      name: 'contracts-and-sandbox-index-only',
      comment: 'Entered through #contracts and #sandbox.',
      severity: 'error',
      from: { path: '^(apps|libs|tools|test)/' },
      to: {
        path: '^(contracts|sandbox)/',
        pathNot: [String.raw`^(contracts|sandbox)/src/index\.ts$`, tests],
      },
    },
    {
      name: 'no-cycles',
      comment: 'A cycle has no bottom: extract what both sides need. Types alone may refer back.',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'apps-never-import-apps',
      comment: 'Apps talk over HTTP; what two of them need belongs in a library.',
      severity: 'error',
      from: { path: '^apps/([^/]+)/' },
      to: { path: '^apps/', pathNot: '^apps/$1/' },
    },
    {
      name: 'apps-are-not-imported',
      comment: 'Only tests reach into an app, and only its own end-to-end tests.',
      severity: 'error',
      from: { path: '^(libs|contracts|sandbox|tools)/' },
      to: { path: '^apps/' },
    },
    {
      name: 'nest-only-at-the-edge',
      comment: 'Only apps and platform know Nest.',
      severity: 'error',
      from: { path: '^(libs|contracts|sandbox)/', pathNot: '^libs/platform/' },
      to: { path: '@nestjs/' },
    },
    {
      name: 'sandbox-only-in-provider',
      comment: 'Only a provider runs untrusted code.',
      severity: 'error',
      from: { path: '^(apps|libs|contracts)/', pathNot: '^(apps/provider/|sandbox/)' },
      to: { path: '^sandbox/' },
    },
    {
      name: 'pure-no-node',
      comment: 'Pure code takes clock, randomness and I/O as arguments.',
      severity: 'error',
      from: { path: purePaths, pathNot: tests },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'crypto-only-node-crypto',
      comment: 'crypto may use node:crypto and nothing else of Node.',
      severity: 'error',
      from: { path: '^libs/crypto/src/', pathNot: tests },
      to: { dependencyTypes: ['core'], pathNot: '^(node:)?crypto$' },
    },
    {
      name: 'pure-no-effectful-packages',
      comment:
        'Sockets, databases and file systems belong to store, net, platform, sandbox and apps.',
      severity: 'error',
      from: { path: [...purePaths, '^libs/crypto/src/'], pathNot: tests },
      to: {
        path: `${nodeModule}(lmdb|pg|bullmq|ioredis|ws|helia|kubo-rpc-client|pino|isolated-vm|blockstore-fs|datastore-fs)/`,
      },
    },
    {
      name: 'resolvable',
      comment: 'The import leads nowhere.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'no-dev-packages-at-run-time',
      comment: 'Move the package to dependencies.',
      severity: 'error',
      from: { path: '^(apps|libs|contracts|sandbox)/', pathNot: [tests, 'generated/'] },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only', 'npm'] },
    },
    {
      name: 'no-tests-in-code',
      comment: 'Code never imports tests.',
      severity: 'error',
      from: { path: '^(apps|libs|contracts|sandbox)/', pathNot: tests },
      to: { path: [tests, '^test/'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(dist/|test/bench/peers/)|/peers/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['source', 'import', 'node', 'default', 'types'],
    },
    reporterOptions: { mermaid: {}, dot: {} },
  },
};
