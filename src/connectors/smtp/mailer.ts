import { randomUUID } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createTransport } from 'nodemailer';
import type { Logger } from 'pino';
import type { Mail, Mailer } from '../../domain/mail.ts';

// The library would wait for minutes, and a stop waits for the mails under way. The URL may say otherwise.
const timeLimits = { connectionTimeout: 10_000, greetingTimeout: 10_000, socketTimeout: 10_000 };

/** The mailer of the operator's SMTP server; with none, mails are written to a folder and the log says where. */
export function createMailer(settings: { smtpUrl?: string; mailFrom: string; dataDir: string }, log: Logger): Mailer {
  if (settings.smtpUrl === undefined) return folderMailer(join(settings.dataDir, 'mail'), settings.mailFrom, log);
  const transport = createTransport({ url: settings.smtpUrl, ...timeLimits }, { from: settings.mailFrom });
  return {
    async send(mail) {
      // As one address, not as text, which may be read as a list of several.
      await transport.sendMail({ ...mail, to: { name: '', address: mail.to } });
    },
  };
}

function folderMailer(folder: string, from: string, log: Logger): Mailer {
  return {
    async send(mail) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const file = join(folder, `${new Date().toISOString().replaceAll(':', '-')}-${randomUUID().slice(0, 8)}.txt`);
      await writeFile(file, asText(mail, from), { mode: 0o600 });
      log.info({ file }, 'no SMTP_URL is set: the mail was written to a file');
    },
  };
}

function asText({ to, subject, text }: Mail, from: string): string {
  return `From: ${from}\nTo: ${to}\nSubject: ${subject}\n\n${text}\n`;
}
