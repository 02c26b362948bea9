import { InvalidInput } from '../../errors.ts';
import { isUuid } from '../../ids.ts';
import { isStorableText } from '../../text.ts';
import type { IdentifierType } from './journey-rows.ts';

/** What a journey of a flow is found by. */
export interface Identifier {
  type: IdentifierType;
  value: string;
}

const longestValue = 255;

/**
 * The one form in which an identifier is compared: a number of a phone as E.164, however it was written (with its country).
 *
 * @throws InvalidInput naming `path`
 */
export async function normalIdentifier({ type, value }: Identifier, path: string): Promise<Identifier> {
  if (type === 'PHONE') return { type, value: await e164(value, path) };
  if (type === 'JOURNEY_ID' && !isUuid(value))
    throw new InvalidInput(path, 'must be the UUID of a journey, in lower case');
  if (value === '' || value.length > longestValue || !isStorableText(value)) {
    throw new InvalidInput(path, `must be 1 to ${longestValue} characters`);
  }
  return { type, value };
}

async function e164(value: string, path: string): Promise<string> {
  // Its tables are large, and most processes never see a number.
  const { parsePhoneNumberFromString } = await import('libphonenumber-js/min');
  const number = value.length <= longestValue ? parsePhoneNumberFromString(value.trim()) : undefined;
  if (!number?.isPossible()) {
    throw new InvalidInput(
      path,
      `must be a phone number with its country, such as +4930123456, got ${JSON.stringify(value.slice(0, 50))}`,
    );
  }
  return number.number;
}
