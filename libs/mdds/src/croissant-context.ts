/** The JSON-LD context of Croissant 1.0, built in: documents repeat it, and nothing is ever fetched. */
const CR = `
  citeAs column dataBiases dataCollection excludes extract field fileProperty fileObject fileSet
  format includes isEnumeration isLiveDataset jsonPath key md5 parentField path
  personalSensitiveInformation recordSet references regex repeated replace sdVersion separator
  source subField transform`;

export const CROISSANT_CONTEXT: Readonly<Record<string, unknown>> = {
  '@language': 'en',
  '@vocab': 'https://schema.org/',
  ...Object.fromEntries(
    CR.trim()
      .split(/\s+/)
      .map((name) => [name, `cr:${name}`]),
  ),
  conformsTo: 'dct:conformsTo',
  cr: 'http://mlcommons.org/croissant/',
  rai: 'http://mlcommons.org/croissant/RAI/',
  data: { '@id': 'cr:data', '@type': '@json' },
  dataType: { '@id': 'cr:dataType', '@type': '@vocab' },
  dct: 'http://purl.org/dc/terms/',
  examples: { '@id': 'cr:examples', '@type': '@json' },
  sc: 'https://schema.org/',
};

export const CROISSANT_VERSION = 'http://mlcommons.org/croissant/1.0';
export const CROISSANT_CONTEXT_IRI = 'http://mlcommons.org/croissant/1.0/context';
export const CROISSANT_CONTEXTS: Readonly<Record<string, object>> = {
  [CROISSANT_CONTEXT_IRI]: { '@context': CROISSANT_CONTEXT },
};
