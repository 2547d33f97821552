import {
  Body,
  Controller,
  Delete,
  Get,
  HttpCode,
  Inject,
  Param,
  Post,
  Res,
  SerializeOptions,
  UseGuards,
} from '@nestjs/common';
import {
  ApiAcceptedResponse,
  ApiCreatedResponse,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiParam,
  ApiSecurity,
  ApiTags,
} from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { type AccountId, errorEntry } from '#libs/kernel';
import type { SendOutcome } from '../webhooks/sender.ts';
import type { WebhookView, Webhooks } from '../webhooks/webhooks.ts';
import { ApiProblems } from './api-problems.ts';
import { timeToText } from './documents.ts';
import { SignedRequestGuard, Signer } from './signed-request.guard.ts';
import {
  type WebhookDocument,
  type WebhookReplayRequest,
  type WebhookRequest,
  webhookDocument,
  webhookIdParameter,
  webhookListDocument,
  webhookReplayDocument,
  webhookReplayRequest,
  webhookRequest,
  webhookTestDocument,
} from './webhook-schemas.ts';

/** Injection token of the `Webhooks`. */
export const WEBHOOKS = Symbol('Webhooks');

const WEBHOOK_ID = {
  name: 'id',
  description: 'Webhook id',
  schema: { type: 'string', pattern: '^wh_[0-9a-f]{24}$' },
} as const;

const fixOf = (code: string): string => errorEntry(code)?.fix ?? 'Read the text.';

function statusOf({ disabled, failingSinceUs }: WebhookView): WebhookDocument['status'] {
  if (disabled) return 'disabled';
  return failingSinceUs === undefined ? 'active' : 'failing';
}

function webhookToDocument(view: WebhookView): WebhookDocument {
  const { id, url, order, events, disabled, failingSinceUs, lastFailure, lastDeliveredUs } = view;
  return {
    ...{ id, url, events: [...events], createdAt: timeToText(view.createdAtUs) },
    ...(order !== undefined && { order }),
    status: statusOf(view),
    ...(disabled && {
      disabled: {
        ...{ code: disabled.code, text: disabled.text, fix: fixOf(disabled.code) },
        at: timeToText(disabled.atUs),
      },
    }),
    ...(failingSinceUs !== undefined && { failingSince: timeToText(failingSinceUs) }),
    ...(lastFailure && { lastFailure: { ...lastFailure } }),
    ...(lastDeliveredUs !== undefined && { lastDelivered: timeToText(lastDeliveredUs) }),
    ...{ waiting: view.waiting, missed: view.missed },
  };
}

function testToDocument(outcome: SendOutcome & { readonly tookMs: number }) {
  const { tookMs } = outcome;
  if (outcome.is === 'delivered') return { delivered: true, status: outcome.status, tookMs };
  const { code, text, status } = outcome;
  return {
    delivered: false,
    ...(status !== undefined && { status }),
    failure: { code, text, fix: fixOf(code) },
    tookMs,
  };
}

@ApiTags('webhooks')
@ApiSecurity('account')
@UseGuards(SignedRequestGuard)
@Controller('v1/webhooks')
export class WebhooksController {
  readonly #webhooks: Webhooks;

  constructor(@Inject(WEBHOOKS) webhooks: Webhooks) {
    this.#webhooks = webhooks;
  }

  @Post()
  @ApiOperation({
    operationId: 'addWebhook',
    summary: 'Have events of your orders sent to an address',
    description:
      'At least once, each order’s in their sequence, signed by the market (RFC 9421). The same ' +
      'webhook again answers 200 with the one there is.',
  })
  @ApiCreatedResponse({ standardSchema: webhookDocument, description: 'Added and durable' })
  @ApiOkResponse({ standardSchema: webhookDocument, description: 'Was added before' })
  @ApiProblems(400, 401, 403, 409, 429)
  @SerializeOptions({ schema: webhookDocument })
  async add(
    @Body({ schema: webhookRequest }) body: WebhookRequest,
    @Signer() by: AccountId,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    const { view, isNew } = await this.#webhooks.add(by, body);
    if (!isNew) reply.status(200);
    return webhookToDocument(view);
  }

  @Get()
  @ApiOperation({ operationId: 'listWebhooks', summary: 'Your webhooks, and how they do' })
  @ApiOkResponse({ standardSchema: webhookListDocument })
  @ApiProblems(401, 429)
  @SerializeOptions({ schema: webhookListDocument })
  list(@Signer() by: AccountId) {
    return { items: this.#webhooks.list(by).map(webhookToDocument) };
  }

  @Delete(':id')
  @HttpCode(204)
  @ApiOperation({ operationId: 'removeWebhook', summary: 'Remove a webhook and what waits for it' })
  @ApiParam(WEBHOOK_ID)
  @ApiNoContentResponse({ description: 'It is gone' })
  @ApiProblems(400, 401, 404, 429)
  async remove(
    @Param('id', { schema: webhookIdParameter }) id: string,
    @Signer() by: AccountId,
  ): Promise<void> {
    await this.#webhooks.remove(by, id);
  }

  @Post(':id/resume')
  @HttpCode(200)
  @ApiOperation({
    operationId: 'resumeWebhook',
    summary: 'Switch a webhook on again; what waits is sent at once',
  })
  @ApiParam(WEBHOOK_ID)
  @ApiOkResponse({ standardSchema: webhookDocument })
  @ApiProblems(400, 401, 404, 429)
  @SerializeOptions({ schema: webhookDocument })
  async resume(@Param('id', { schema: webhookIdParameter }) id: string, @Signer() by: AccountId) {
    return webhookToDocument(await this.#webhooks.resume(by, id));
  }

  @Post(':id/replay')
  @HttpCode(202)
  @ApiOperation({
    operationId: 'replayWebhook',
    summary: 'Send a range of an order’s events once more',
    description:
      'In their sequence, beside what is live. A second range of the order replaces the first.',
  })
  @ApiParam(WEBHOOK_ID)
  @ApiAcceptedResponse({
    standardSchema: webhookReplayDocument,
    description: 'Queued and durable',
  })
  @ApiProblems(400, 401, 403, 404, 429)
  @SerializeOptions({ schema: webhookReplayDocument })
  replay(
    @Param('id', { schema: webhookIdParameter }) id: string,
    @Body({ schema: webhookReplayRequest }) body: WebhookReplayRequest,
    @Signer() by: AccountId,
  ) {
    return this.#webhooks.replay(by, id, body);
  }

  @Post(':id/test')
  @HttpCode(200)
  @ApiOperation({
    operationId: 'testWebhook',
    summary: 'Send an event `test` now and tell what came of it',
  })
  @ApiParam(WEBHOOK_ID)
  @ApiOkResponse({ standardSchema: webhookTestDocument })
  @ApiProblems(400, 401, 404, 429)
  @SerializeOptions({ schema: webhookTestDocument })
  async test(@Param('id', { schema: webhookIdParameter }) id: string, @Signer() by: AccountId) {
    return testToDocument(await this.#webhooks.test(by, id));
  }
}
