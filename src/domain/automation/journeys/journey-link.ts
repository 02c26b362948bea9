import { createHmac, hkdfSync } from 'node:crypto';
import type { Settings } from '../../context.ts';

/** 128 bits that follow from the id and a key: the address can be told again, and the table holds its hash only. */
export function linkToken(settings: Settings, journeyId: string): string {
  const key = Buffer.from(hkdfSync('sha256', settings.secretsKey, 'parley', 'journey link', 32));
  return createHmac('sha256', key).update(journeyId).digest().subarray(0, 16).toString('base64url');
}
