// Why a provider of TensorFlow.js does not work here, told apart: not installed, installed without its binary, no
// adapter, or something else, whose own words are kept.

import { messageOf } from '../../common/errors.js';
import { TFJS_PACKAGES, type TfjsProvider } from './tfjs-provider.js';

export type TfjsUnavailableCode = 'NOT_INSTALLED' | 'BINARY_MISSING' | 'NO_ADAPTER' | 'ERROR';

/** What is said about a provider that does not work. */
export interface TfjsUnavailable {
  readonly code: TfjsUnavailableCode;
  readonly reason: string;
  readonly remedy: string;
}

/** Thrown by the loading of a provider that found out by itself what is missing. */
export class TfjsUnavailableError extends Error {
  readonly why: TfjsUnavailable;

  constructor(why: TfjsUnavailable) {
    super(why.reason);
    this.why = why;
  }
}

/**
 * Explains an error met while a provider was loaded.
 *
 * Only the absence of one of the provider's own packages counts as "not installed": a missing package of another name
 * is a broken installation, and is named.
 */
export function explainTfjsFailure(provider: TfjsProvider, error: unknown): TfjsUnavailable {
  if (error instanceof TfjsUnavailableError) return error.why;
  const message = messageOf(error).replace(/\s+/g, ' ').trim();
  const missing = isMissingModule(error) ? missingPackage(message) : undefined;
  if (missing !== undefined && TFJS_PACKAGES[provider].includes(missing))
    return notInstalled(provider, missing);
  const addon = TFJS_PACKAGES[provider][0]!;
  if (message.includes('tfjs_binding.node') && message.includes('can not be found')) {
    return {
      code: 'BINARY_MISSING',
      reason: `${addon} is installed, but its native addon is not there (its install script did not run, or its download failed)`,
      remedy: `run "npm rebuild ${addon} --build-addon-from-source", see docs/gpu.md`,
    };
  }
  return {
    code: 'ERROR',
    reason: `loading ${addon} failed: ${message}`,
    remedy: 'see docs/gpu.md for what it needs',
  };
}

export function notInstalled(provider: TfjsProvider, missing: string): TfjsUnavailable {
  return {
    code: 'NOT_INSTALLED',
    reason: `${missing} is not installed`,
    remedy: `run "npm install ${TFJS_PACKAGES[provider].join(' ')}"`,
  };
}

function isMissingModule(error: unknown): boolean {
  const code = (error as { code?: unknown } | undefined)?.code;
  return code === 'MODULE_NOT_FOUND' || code === 'ERR_MODULE_NOT_FOUND';
}

/** The package that "Cannot find module 'a/b'" or "Cannot find package 'a'" speaks of. */
function missingPackage(message: string): string | undefined {
  const specifier = /Cannot find (?:module|package) '([^']+)'/.exec(message)?.[1];
  return specifier === undefined ? undefined : /^(?:@[^/]+\/)?[^/]+/.exec(specifier)?.[0];
}
