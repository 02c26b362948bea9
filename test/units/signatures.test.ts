import { execFileSync } from 'node:child_process';
import { createHmac, randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Webhook } from 'standardwebhooks';
import { signatures } from '../../src/domain/messaging/sources/action-endpoint.service.ts';

const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 200 }), fc.string({ unit: 'grapheme', maxLength: 200 }));
const bodies = fc.oneof(
  text.map((content) => JSON.stringify({ content })),
  fc.dictionary(text, text).map((content) => JSON.stringify(content)),
);

describe('H: signatures', () => {
  it('over 1,000 bodies of any characters are those of node:crypto, and Standard Webhooks takes them', () => {
    const made = fc.sample(bodies, { numRuns: 1_000, seed: 20_261_120 });
    for (const [index, body] of made.entries()) {
      const token = randomBytes(40).toString('base64url');
      const secrets = [randomBytes(24), randomBytes(64)].map((bytes) => `whsec_${bytes.toString('base64')}`);
      const now = Math.floor(Date.now() / 1000);
      const headers = signatures({ token, secrets }, `msg_${index}`, now, body);
      const bytes = Buffer.from(body);
      expect(headers['x-airy-content-signature']).toBe(createHmac('sha256', token).update(bytes).digest('hex'));
      for (const secret of secrets) expect(new Webhook(secret).verify(bytes, headers)).toEqual(JSON.parse(body));
      if (index % 20 > 0) continue;
      const other = `whsec_${randomBytes(24).toString('base64')}`;
      expect(() => new Webhook(other).verify(bytes, headers)).toThrow('No matching signature');
      expect(() => new Webhook(secrets[0]!).verify(`${body} `, headers)).toThrow('No matching signature');
    }
  });

  it('are those of openssl', () => {
    for (const body of fc.sample(bodies, { numRuns: 10, seed: 20_261_120 })) {
      const token = randomBytes(40).toString('base64url');
      const said = execFileSync('openssl', ['dgst', '-sha256', '-hmac', token], { input: Buffer.from(body) });
      const headers = signatures({ token, secrets: [] }, 'msg', 0, body);
      expect(headers['x-airy-content-signature']).toBe(String(said).trim().split('= ')[1]);
    }
  });
});
