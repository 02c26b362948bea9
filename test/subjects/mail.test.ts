import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import { SMTPServer } from 'smtp-server';
import { createMailer } from '../../src/connectors/smtp/mailer.ts';
import { type App, startApp } from '../support/app.ts';
import { until } from '../support/until.ts';

interface Received {
  from: string;
  to: string[];
  headers: string;
  text: string;
}

describe('mail through SMTP', () => {
  const received: Received[] = [];
  const logins: string[] = [];
  let server: SMTPServer;
  let app: App;

  beforeAll(async () => {
    server = new SMTPServer({
      disabledCommands: ['STARTTLS'],
      allowInsecureAuth: true,
      onAuth({ username, password }, _session, done) {
        logins.push(`${username}:${password}`);
        done(null, { user: username });
      },
      onData(stream, { envelope }, done) {
        const chunks: Buffer[] = [];
        stream.on('data', (chunk: Buffer) => chunks.push(chunk));
        stream.on('end', () => {
          const [headers = '', body = ''] = Buffer.concat(chunks)
            .toString()
            .split(/\r\n\r\n(.*)/s);
          const from = envelope.mailFrom === false ? '' : envelope.mailFrom.address;
          received.push({
            from,
            to: envelope.rcptTo.map(({ address }) => address),
            headers,
            text: decoded(headers, body),
          });
          done();
        });
      },
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.server.address() as AddressInfo;
    app = await startApp({ mailer: smtpMailer(`smtp://parley:s3cret@127.0.0.1:${port}`) });
  });
  afterAll(async () => {
    await app.stop();
    await new Promise<void>((resolve) => server.close(resolve));
  });
  beforeEach(() => void received.splice(0));

  const smtpMailer = (smtpUrl: string) =>
    createMailer({ smtpUrl, mailFrom: 'Parley <parley@mail.test>', dataDir: '' }, pino({ level: 'silent' }));
  const ask = async (email: string) =>
    expect((await app.rest('users.request-password-reset', { email })).status).toBe(200);

  it('brings the owner a token that sets a new password', async () => {
    const { email } = await app.make.user();
    await ask(email);
    const mail = await until(async () => received[0]);
    expect([mail.from, mail.to]).toEqual(['parley@mail.test', [email]]);
    expect(mail.headers).toMatch(/^From: Parley <parley@mail\.test>\r$/m);
    expect(mail.headers).toMatch(new RegExp(`^To: ${email}\r$`, 'm'));
    expect(mail.headers).toMatch(/^Subject: Choose a new password\r$/m);
    expect(logins.at(-1)).toBe('parley:s3cret');

    const token = /^[\w-]+\.[\w-]+\.[\w-]+$/m.exec(mail.text)![0];
    const changed = await app.rest('users.password-reset', { token, new_password: 'a new battery staple' });
    expect(changed.status).toBe(200);
    expect((await app.rest('users.login', { email, password: 'a new battery staple' })).status).toBe(200);
  });

  it('arrives at an address beyond ASCII', async () => {
    const { email } = await app.make.user({ email: 'zoë@bücher.test' });
    await ask(email);
    expect((await until(async () => received[0])).to).toEqual([email]);
  });

  // Accounts from before such addresses were refused.
  it.each([
    'a@mail.test,evil@mail.test',
    'a@mail.test;evil@mail.test',
    'x:evil@mail.test;',
    '<evil@mail.test>a@mail.test',
  ])('never takes the address %s for a list', async (address) => {
    const mailer = app.core.mailer;
    await mailer.send({ to: address, subject: 'Hello', text: 'Hello' }).catch(() => undefined);
    expect(received.flatMap(({ to }) => to)).not.toContain('evil@mail.test');
  });

  it('says so when the server does not take it', async () => {
    const { email: to } = await app.make.user();
    await expect(smtpMailer('smtp://127.0.0.1:1').send({ to, subject: 'Hello', text: 'Hello' })).rejects.toThrow(
      'ECONNREFUSED',
    );
  });
});

function decoded(headers: string, body: string): string {
  if (/^content-transfer-encoding: base64/im.test(headers)) return Buffer.from(body, 'base64').toString();
  if (!/^content-transfer-encoding: quoted-printable/im.test(headers)) return body.replaceAll('\r\n', '\n');
  const bytes = body
    .replaceAll('=\r\n', '')
    .replaceAll('\r\n', '\n')
    .replace(/=([0-9A-F]{2})/g, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1').toString();
}

it('is written to a folder, for the owner alone, where no server is set', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'parley-mail-'));
  try {
    const mailer = createMailer({ mailFrom: 'Parley <parley@mail.test>', dataDir }, pino({ level: 'silent' }));
    await mailer.send({ to: 'ada@mail.test', subject: 'Hello', text: 'Good morning!' });
    const [name] = readdirSync(join(dataDir, 'mail'));
    const file = join(dataDir, 'mail', name!);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(file, 'utf8')).toBe(
      'From: Parley <parley@mail.test>\nTo: ada@mail.test\nSubject: Hello\n\nGood morning!\n',
    );
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
});
