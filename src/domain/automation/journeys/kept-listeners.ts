import type { KeptCheck } from '../../kept-check.ts';

const wrongListeners = `
  select c.id, c.listeners kept, coalesce(j.counted, 0) counted
  from conversation c left join (
    select conversation_id, count(*)::int counted from journey
    where status = 'ACTIVE' and conversation_id is not null group by conversation_id) j on j.conversation_id = c.id
  where c.listeners <> coalesce(j.counted, 0)`;

/** What an ingest relies on to know whether a journey listens. @see `parley doctor` */
export const journeyChecks: KeptCheck[] = [
  {
    name: 'journeys that listen to conversations',
    faults: `select 'conversation ' || id || ': kept ' || kept || ', counted ' || counted what
      from (${wrongListeners}) w order by id`,
    lock: 'lock table conversation, journey in exclusive mode',
    mend: [`update conversation c set listeners = w.counted from (${wrongListeners}) w where w.id = c.id`],
  },
];
