import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto';
import type { Settings } from './context.ts';

// A key of its own for each purpose, so that one leaked use does not open the others.
function derivedKey(settings: Settings, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', settings.secretsKey, 'parley', purpose, 32));
}

/** Encrypts with SECRETS_KEY (AES-256-GCM). `purpose` is bound in: a value moved to another column does not open. */
export function encryptSecret(settings: Settings, purpose: string, plain: string): string {
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', derivedKey(settings, purpose), nonce);
  const sealed = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString('base64');
}

/** @throws Error when SECRETS_KEY is not the one it was encrypted with */
export function decryptSecret(settings: Settings, purpose: string, stored: string): string {
  const bytes = Buffer.from(stored, 'base64');
  const opener = createDecipheriv('aes-256-gcm', derivedKey(settings, purpose), bytes.subarray(0, 12));
  opener.setAuthTag(bytes.subarray(12, 28));
  return Buffer.concat([opener.update(bytes.subarray(28)), opener.final()]).toString('utf8');
}

export function sha256Hex(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
