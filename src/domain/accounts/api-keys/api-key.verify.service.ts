import { sql } from 'kysely';
import { isInRanges } from '../../addresses.ts';
import { inBackground } from '../../background.ts';
import type { ApiKeyKind, ApiKeyRole, Core, Principal } from '../../context.ts';
import { Forbidden, Unauthenticated } from '../../errors.ts';
import { perCore } from '../../per-core.ts';
import { sha256Hex } from '../../secrets.ts';
import { epochMs, runStatement } from '../../statement.ts';

interface FoundKey {
  id: string;
  name: string;
  kind: ApiKeyKind;
  role: ApiKeyRole;
  variables: Record<string, unknown>;
  allowed_cidrs: string[];
  used_ms: number | null;
}

/** A prefix and at least 128 bits in any alphabet that a header carries; what cannot be a key is not looked for. */
const keyShape = /^[sap]k_[\x21-\x7e]{20,255}$/;
const noteUseEachMs = 60_000;
/** Keys whose use is being written. */
const noting = perCore(() => new Set<string>());

/**
 * The verifier of `sk_`, `pk_` and `ak_`. The database is asked each time, so that a revocation holds everywhere with its
 * commit.
 *
 * @throws Unauthenticated unknown, revoked or expired
 * @throws Forbidden not from this address
 */
export async function verifyApiKey(core: Core, token: string, address: string): Promise<Principal> {
  const key = keyShape.test(token) ? await findLive(core, token) : undefined;
  if (!key) throw new Unauthenticated();
  if (key.allowed_cidrs.length > 0 && !isInRanges(address, key.allowed_cidrs)) {
    throw new Forbidden('this key may not be used from this address');
  }
  noteUse(core, key);
  const { id, name, kind, role, variables } = key;
  return { kind: 'apiKey', keyId: id, keyName: name, keyKind: kind, role, variables };
}

async function findLive(core: Core, token: string): Promise<FoundKey | undefined> {
  const [found] = await runStatement<FoundKey>(
    core,
    sql`select id::text, name, kind, role, variables, allowed_cidrs, ${sql.raw(epochMs('last_used_at'))} used_ms
        from api_key
        where hash = ${sha256Hex(token)} and revoked_at is null
          and (expires_at is null or expires_at > ${core.now().toISOString()}::timestamptz)`,
  );
  return found;
}

// Behind the answer: nobody waits for it, and a busy key is not written with each call.
function noteUse(core: Core, { id, used_ms }: FoundKey): void {
  const now = core.now();
  const before = new Date(now.getTime() - noteUseEachMs);
  if ((used_ms !== null && used_ms > before.getTime()) || noting(core).has(id)) return;
  noting(core).add(id);
  // Another process may have noted it meanwhile.
  const written = runStatement(
    core,
    sql`update api_key set last_used_at = ${now.toISOString()}::timestamptz
        where id = ${id}::uuid and (last_used_at is null or last_used_at <= ${before.toISOString()}::timestamptz)`,
  ).finally(() => noting(core).delete(id));
  inBackground({ core }, written, 'the use of an API key could not be noted');
}
