import { beforeAll, describe, expect, it } from '@jest/globals';
import { type App, type Json, startApp } from '../support/app.ts';
import { flowsOf } from '../support/flows.ts';

type Flows = Awaited<ReturnType<typeof flowsOf>>;

describe('a flow', () => {
  let app: App;
  let flows: Flows;
  let admin: string;
  beforeAll(async () => {
    app = await startApp();
    flows = await flowsOf(app);
    admin = (await app.make.admin()).token;
  });

  const end = { id: 'end', type: 'end', status: 'COMPLETED' };
  const greeting = { id: 'greet', type: 'message', to: { conversation: true }, content: 'Hello' };

  async function faultsOf(definition: unknown): Promise<[path: string, message: string][]> {
    const { body } = await app.graphql(
      'mutation ($input: CreateFlowInput!) { createFlow(input: $input) { flow { id } } }',
      { input: { name: 'faulty', definition } },
      { token: admin },
    );
    expect(body.errors?.[0].extensions.code).toBe('BAD_USER_INPUT');
    return body.errors[0].extensions.errors.map(({ path, message }: Json) => [path, message]);
  }

  it('is saved as a draft, published as a version, and changed without touching it', async () => {
    const flowId = await flows.create([greeting]);
    const shown = 'flow { name draft published { number } versions { number definition } }';
    const asked = (fields: string) => flows.ask(`query ($id: ID!) { flow(id: $id) { ${fields} } }`, { id: flowId });
    expect(await asked('draft published { number } versions { number }')).toEqual({
      draft: { start: 'greet', steps: [greeting] },
      published: null,
      versions: [],
    });

    expect(await flows.publish(flowId)).toBe(1);
    expect(await flows.publish(flowId)).toBe(1);
    const changed = { start: 'end', steps: [end] };
    const { flow } = await flows.ask(`mutation ($input: UpdateFlowInput!) { updateFlow(input: $input) { ${shown} } }`, {
      input: { flowId, name: 'renamed', definition: changed },
    });
    expect(flow).toEqual({
      name: 'renamed',
      draft: changed,
      published: { number: 1 },
      versions: [{ number: 1, definition: { start: 'greet', steps: [greeting] } }],
    });
    expect(await flows.publish(flowId)).toBe(2);
    expect(await asked('published { number definition } versions { number }')).toEqual({
      published: { number: 2, definition: changed },
      versions: [{ number: 2 }, { number: 1 }],
    });
  });

  it('takes no new journeys before it is published, nor after that was taken back', async () => {
    const flowId = await flows.create([end]);
    const start = () =>
      app.graphql(
        'mutation ($input: StartJourneyInput!) { startJourney(input: $input) { journey { id } } }',
        { input: { flowId } },
        { token: admin },
      );
    expect((await start()).body.errors[0].extensions.code).toBe('CONFLICT');
    await flows.publish(flowId);
    expect((await start()).body.errors).toBeUndefined();
    await flows.ask('mutation ($input: FlowInput!) { unpublishFlow(input: $input) { flow { id } } }', {
      input: { flowId },
    });
    expect((await start()).body.errors[0].extensions.code).toBe('CONFLICT');
  });

  it('is deleted while no journey took it, and kept after that', async () => {
    const deleted = (flowId: string) =>
      app.graphql(
        'mutation ($input: FlowInput!) { deleteFlow(input: $input) { deletedId } }',
        { input: { flowId } },
        { token: admin },
      );
    const unused = await flows.published([end]);
    expect((await deleted(unused)).body.data.deleteFlow.deletedId).toBe(unused);
    expect(await flows.ask('query ($id: ID!) { flow(id: $id) { id } }', { id: unused })).toBeNull();
    expect((await deleted(unused)).body.errors[0].extensions.code).toBe('NOT_FOUND');
    const used = await flows.published([end]);
    await flows.start(used);
    expect((await deleted(used)).body.errors[0].extensions.code).toBe('CONFLICT');
  });

  it('is listed by page, both ways', async () => {
    const made = [];
    for (let count = 0; count < 5; count += 1) made.push(await flows.create([end]));
    const newest = made.reverse();
    const page = (args: string) =>
      flows.ask(`{ flows(${args}) { nodes { id } total pageInfo { endCursor hasNextPage hasPreviousPage } } }`, {});
    const first = await page('first: 2');
    expect(first.nodes.map(({ id }: Json) => id)).toEqual(newest.slice(0, 2));
    const second = await page(`first: 2, after: "${first.pageInfo.endCursor}"`);
    expect(second.nodes.map(({ id }: Json) => id)).toEqual(newest.slice(2, 4));
    expect(second.pageInfo).toMatchObject({ hasNextPage: true, hasPreviousPage: true });
    const back = await page(`last: 2, before: "${second.pageInfo.endCursor}"`);
    expect(back.nodes.map(({ id }: Json) => id)).toEqual(newest.slice(1, 3));
    expect(first.total).toBeGreaterThanOrEqual(5);
  });

  it('tells editors its JSON Schema, with every kind of step', async () => {
    const schema = await flows.ask('{ flowDefinitionSchema }', {});
    const steps = schema.properties.steps.items.anyOf;
    expect(steps.map((step: Json) => step.properties.type.const).sort()).toEqual(
      ['branch', 'end', 'message', 'set', 'wait'].sort(),
    );
    expect(steps.every((step: Json) => step.additionalProperties === false && step.description)).toBe(true);
  });

  describe('is refused at save, with the place named', () => {
    it.each<[string, unknown, string, RegExp]>([
      ['no object', 'x', 'definition', /expected object/],
      ['no steps', { start: 'a', steps: [] }, 'definition.steps', /1/],
      ['an unknown field', { start: 'end', steps: [end], other: 1 }, 'definition', /other/],
      [
        'an unknown type',
        { start: 'a', steps: [{ id: 'a', type: 'dance' }] },
        'definition.steps[0].type',
        /one of .*message/,
      ],
      [
        'an unknown field of a step',
        { start: 'end', steps: [{ ...end, colour: 'red' }] },
        'definition.steps[0]',
        /colour/,
      ],
      ['a bad id', { start: 'a b', steps: [{ ...end, id: 'a b' }] }, 'definition.steps[0].id', /letters/],
      ['an id twice', { start: 'end', steps: [end, end] }, 'definition.steps[1].id', /steps\[0\]/],
      ['an unknown start', { start: 'other', steps: [end] }, 'definition.start', /no step "other"/],
      [
        'a dangling next',
        { start: 'greet', steps: [{ ...greeting, next: 'gone' }] },
        'definition.steps[0].next',
        /no step "gone"/,
      ],
      [
        'a dangling case',
        { start: 'b', steps: [{ id: 'b', type: 'branch', cases: [{ when: 'true', next: 'gone' }] }] },
        'definition.steps[0].cases[0].next',
        /no step "gone"/,
      ],
      [
        'a dangling onTimeout',
        {
          start: 'w',
          steps: [{ id: 'w', type: 'wait', for: 'event', name: 'x', timeout: 'P1D', onTimeout: 'gone' }],
        },
        'definition.steps[0].onTimeout',
        /no step "gone"/,
      ],
      [
        'a step that nothing reaches',
        { start: 'end', steps: [end, greeting] },
        'definition.steps[1]',
        /no step leads to "greet"/,
      ],
      [
        'an expression that does not parse',
        { start: 'b', steps: [{ id: 'b', type: 'set', vars: { a: '1 +' } }] },
        'definition.steps[0].vars.a',
        /position/,
      ],
      [
        'a template that does not parse',
        { start: 'greet', steps: [{ ...greeting, content: 'Hi {{ name' }] },
        'definition.steps[0].content',
        /./,
      ],
      [
        'a template inside a content',
        { start: 'greet', steps: [{ ...greeting, content: { text: '{% if %}' } }] },
        'definition.steps[0].content',
        /./,
      ],
      [
        'a wait for nothing',
        { start: 'w', steps: [{ id: 'w', type: 'wait', for: 'event' }] },
        'definition.steps[0].name',
        /needs it/,
      ],
      [
        'a field of another wait',
        { start: 'w', steps: [{ id: 'w', type: 'wait', for: 'duration', duration: 'PT5M', where: 'true' }] },
        'definition.steps[0].where',
        /does not belong/,
      ],
      [
        'a wait for an event without its name',
        { start: 'w', steps: [{ id: 'w', type: 'wait', for: 'event', timeout: 'P1D' }] },
        'definition.steps[0].name',
        /needs it/,
      ],
      [
        'a bad duration',
        { start: 'w', steps: [{ id: 'w', type: 'wait', for: 'duration', duration: '2 days' }] },
        'definition.steps[0].duration',
        /ISO 8601/,
      ],
      [
        'a channel that is none',
        { start: 'm', steps: [{ id: 'm', type: 'message', to: { contact: 'x', channel: 'y' }, content: 'x' }] },
        'definition.steps[0].to.channel',
        /./,
      ],
      [
        'nothing after a next of an end',
        { start: 'end', steps: [{ ...end, next: 'end' }] },
        'definition.steps[0]',
        /next/,
      ],
    ])('%s', async (_, definition, path, message) => {
      const faults = await faultsOf(definition);
      expect(faults.map(([place]) => place)).toContainEqual(path);
      expect(faults.find(([place]) => place === path)![1]).toMatch(message);
    });

    it('all faults at once', async () => {
      const faults = await faultsOf({
        start: 'a',
        steps: [
          { id: 'a', type: 'set', vars: { x: '(' }, next: 'b' },
          { id: 'b', type: 'set', vars: { y: ')' }, next: 'gone' },
        ],
      });
      expect(faults.map(([path]) => path)).toEqual([
        'definition.steps[1].next',
        'definition.steps[0].vars.x',
        'definition.steps[1].vars.y',
      ]);
    });
  });
});
