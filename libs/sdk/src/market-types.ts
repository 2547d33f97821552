/**
 * What a market's HTTP API speaks, generated from its OpenAPI description: amounts are decimal strings
 * of the smallest unit, times ISO 8601, accounts `seele1…`, hashes hex.
 */
import type { components } from './generated/market-api.ts';

type Schemas = components['schemas'];

export type MarketStatus = Schemas['Status'];
export type QuoteDocument = Schemas['Quote'];
export type OrderDocument = Schemas['Order'];
export type WhyDocument = Schemas['Why'];
export type OrderPage = Schemas['OrderList'];
export type OrderRequestDocument = Schemas['OrderRequest'];
export type ManifestDocument = Schemas['Manifest'];
export type JobEventDocument = Schemas['JobEvent'];
export type ProviderDocument = Schemas['Provider'];
export type WebhookDocument = Schemas['Webhook'];
export type WebhookRequestDocument = Schemas['WebhookRequest'];
export type WebhookReplayRequestDocument = Schemas['WebhookReplayRequest'];
export type WebhookTestDocument = Schemas['WebhookTest'];
export type WebhookEventDocument = Schemas['WebhookEvent'];
