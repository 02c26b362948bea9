import { sql } from 'kysely';
import { allow } from '../../access.ts';
import type { Ctx } from '../../context.ts';
import { type Fault, InvalidInput, NotFound } from '../../errors.ts';
import { newId } from '../../ids.ts';
import { inOrderOf } from '../../in-order.ts';
import { rows } from '../../statement.ts';
import { isOneLine, oversizedJson } from '../../text.ts';
import { type Tx, transaction } from '../../transaction.ts';
import { MessageTemplate } from './message-template.entity.ts';

export interface TemplateFields {
  sourceId: string;
  name: string;
  /** Any JSON value but null. */
  content: unknown;
}

const longestName = 255;
/** Of one source: menus show all of them at once, so together they have to fit into an answer. */
const mostTemplates = 1_000;
const largestContent = 8_192;

/** The templates of a source by name. @param name a part of it, case-sensitive */
export async function listTemplates(
  ctx: Ctx,
  { sourceId, name }: { sourceId: string; name?: string | null },
): Promise<MessageTemplate[]> {
  allow(ctx, 'templates');
  // Plain characters all of them: none is a wildcard.
  const found = await rows<{ id: string }>(
    ctx.em,
    sql`select id::text from message_template where source_id = ${sourceId} and strpos(name, ${name ?? ''}) > 0
        order by name, id`,
  );
  const templates = await findTemplates(
    ctx,
    found.map(({ id }) => id),
  );
  return templates.filter((template) => template !== null);
}

/** Null for an unknown id. */
export async function findTemplate(ctx: Ctx, id: string): Promise<MessageTemplate | null> {
  allow(ctx, 'template');
  return ctx.em.findOne(MessageTemplate, { id });
}

/** @throws InvalidInput */
export async function createTemplate(ctx: Ctx, input: TemplateFields): Promise<MessageTemplate> {
  allow(ctx, 'createTemplate');
  check(input);
  return transaction(ctx, async (tx) => {
    await needRoom(tx, input.sourceId);
    const template = tx.em.create(MessageTemplate, { id: newId(), ...input, createdAt: tx.now() });
    await tx.em.flush();
    return template;
  });
}

/** Changes what is given. @throws NotFound @throws InvalidInput */
export async function updateTemplate(
  ctx: Ctx,
  { id, ...changes }: { id: string } & { [Name in keyof TemplateFields]?: TemplateFields[Name] | null },
): Promise<MessageTemplate> {
  allow(ctx, 'updateTemplate');
  return transaction(ctx, async (tx) => {
    const template = await tx.em.findOne(MessageTemplate, { id });
    if (!template) throw new NotFound('template', id);
    const fields = {
      sourceId: changes.sourceId ?? template.sourceId,
      name: changes.name ?? template.name,
      content: changes.content ?? template.content,
    };
    check(fields);
    if (fields.sourceId !== template.sourceId) await needRoom(tx, fields.sourceId);
    tx.em.assign(template, fields, { merge: false, mergeObjectProperties: false });
    await tx.em.flush();
    return template;
  });
}

/** @throws NotFound */
export async function deleteTemplate(ctx: Ctx, { id }: { id: string }): Promise<void> {
  allow(ctx, 'deleteTemplate');
  if ((await ctx.em.nativeDelete(MessageTemplate, { id })) === 0) throw new NotFound('template', id);
}

// One at a time for a source, so that two at once are counted.
async function needRoom(tx: Tx, sourceId: string): Promise<void> {
  await rows(tx.em, sql`select pg_advisory_xact_lock(9, hashtext(${sourceId}))`);
  if ((await tx.em.count(MessageTemplate, { sourceId })) >= mostTemplates) {
    throw new InvalidInput(
      'sourceId',
      `this source has ${mostTemplates} templates, no more are taken: delete one first`,
    );
  }
}

function check({ sourceId, name, content }: TemplateFields): void {
  const faults: Fault[] = [];
  for (const [path, value] of Object.entries({ sourceId, name })) {
    if (!isOneLine(value, longestName)) {
      faults.push({ path, message: `must be 1 to ${longestName} characters of one line` });
    }
  }
  const oversized = content == null ? 'must be a JSON value' : oversizedJson(content, undefined, largestContent);
  if (oversized) faults.push({ path: 'content', message: oversized });
  if (faults.length > 0) throw new InvalidInput(faults);
}

/** In the order of `ids`, null for what is not there; the caller has checked the rights. */
export async function findTemplates(ctx: Ctx, ids: readonly string[]): Promise<(MessageTemplate | null)[]> {
  return inOrderOf(ids, await ctx.em.find(MessageTemplate, { id: { $in: [...ids] } }));
}
