import {
  type CanActivate,
  type ExecutionContext,
  Inject,
  Injectable,
  createParamDecorator,
} from '@nestjs/common';
import type { VerifiedRequest } from '#libs/crypto';
import { type RequestVerifier, platformError } from '#libs/platform';

/** Injection token of the server's `RequestVerifier`. */
export const REQUEST_VERIFIER = Symbol('RequestVerifier');

interface HttpRequest {
  readonly method: string;
  readonly originalUrl: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly rawBody?: Buffer;
  /** Set by the guards. */
  proof?: VerifiedRequest;
}

function proofOf(request: HttpRequest, verify: RequestVerifier): VerifiedRequest {
  const { method, originalUrl: target, headers, rawBody } = request;
  return verify({ method, target, headers, body: rawBody });
}

/** Lets a request pass only with a valid, fresh, unused signature of an account key. */
@Injectable()
export class SignedRequestGuard implements CanActivate {
  readonly #verify: RequestVerifier;

  constructor(@Inject(REQUEST_VERIFIER) verify: RequestVerifier) {
    this.#verify = verify;
  }

  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest<HttpRequest>();
    request.proof = proofOf(request, this.#verify);
    return true;
  }
}

/** Lets unsigned requests pass; a signature that is there must be good. */
@Injectable()
export class OptionallySignedGuard implements CanActivate {
  readonly #verify: RequestVerifier;

  constructor(@Inject(REQUEST_VERIFIER) verify: RequestVerifier) {
    this.#verify = verify;
  }

  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest<HttpRequest>();
    if (request.headers['signature-input'] !== undefined)
      request.proof = proofOf(request, this.#verify);
    return true;
  }
}

/** Who signed the request; `undefined` when it was not signed. */
export const Signatory = createParamDecorator((_: unknown, context: ExecutionContext) => {
  return context.switchToHttp().getRequest<HttpRequest>().proof?.account;
});

/** Who signed the request, behind `SignedRequestGuard`. */
export const Signer = createParamDecorator((_: unknown, context: ExecutionContext) => {
  const { proof } = context.switchToHttp().getRequest<HttpRequest>();
  if (proof === undefined) throw platformError('HTTP_INTERNAL', 'route without its guard');
  return proof.account;
});
