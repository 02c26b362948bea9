import { Field, InputType, Int, ObjectType, registerEnumType } from 'type-graphql';
import type { TemplatePlace } from '../../../domain/automation/expressions/expression.service.ts';
import { JsonScalar } from '../../scalars.ts';

/** The names of the schema, and the service's. */
export const TemplatePlaceEnum: Record<string, TemplatePlace> = {
  TEXT: 'text',
  HTML: 'html',
  URL: 'url',
  HEADER: 'header',
  JSON: 'json',
};
registerEnumType(TemplatePlaceEnum, {
  name: 'TemplatePlace',
  description: 'Where the text of a template goes: decides how values are escaped.',
  valuesConfig: {
    TEXT: { description: 'Plain text, such as a message: values as they are.' },
    HTML: { description: 'HTML: values escaped.' },
    URL: { description: 'A URL whose scheme, host and port are written out: values percent-encoded.' },
    HEADER: { description: 'The value of an HTTP header: one line of Latin-1 characters.' },
    JSON: {
      description:
        'A JSON value whose texts are templates; a text that is one output alone gets its value, with its type.',
    },
  },
});

@ObjectType('ScriptFault', { simpleResolvers: true, description: 'What is wrong with an expression or a template.' })
export class ScriptFaultType {
  @Field(() => String, { description: 'What was wrong; in a JSON template it begins with the path of the text.' })
  message!: string;

  @Field(() => Int, {
    nullable: true,
    description: 'Which character of the source, from 1; null when it is of no place.',
  })
  position?: number;

  @Field(() => Int, { nullable: true, description: 'Its line, from 1; null where the source is not one text.' })
  line?: number;

  @Field(() => Int, { nullable: true, description: 'The character in that line, from 1.' })
  column?: number;
}

@InputType({ description: 'An expression, and what it can read.' })
export class RunExpressionInput {
  @Field(() => String, { description: 'JSONata, 4 KiB at most.' })
  expression!: string;

  @Field(() => JsonScalar, { nullable: true, description: 'An object of what it can read by name, 256 KiB at most.' })
  bindings?: unknown;
}

@ObjectType({ simpleResolvers: true, description: 'What an expression came to.' })
export class RunExpressionPayload {
  @Field(() => JsonScalar, {
    nullable: true,
    description: 'Its value, 256 KiB at most; null also when there is a fault.',
  })
  value?: unknown;

  @Field(() => ScriptFaultType, { nullable: true, description: 'Why there is no value.' })
  fault?: ScriptFaultType;
}

@InputType({ description: 'A template, where it goes, and what it can read.' })
export class PreviewTemplateInput {
  @Field(() => JsonScalar, { description: 'Liquid, 64 KiB at most as JSON: a text, at the place JSON any value.' })
  template!: unknown;

  @Field(() => TemplatePlaceEnum, { defaultValue: TemplatePlaceEnum.TEXT, description: 'Where its text goes.' })
  place!: TemplatePlace;

  @Field(() => JsonScalar, { nullable: true, description: 'An object of what it can read by name, 256 KiB at most.' })
  bindings?: unknown;
}

@ObjectType({ simpleResolvers: true, description: 'What a template came to.' })
export class PreviewTemplatePayload extends RunExpressionPayload {
  @Field(() => [String], {
    description:
      'What it reads and the bindings do not have, as paths by name, 100 at most; empty when it does not parse.',
  })
  unknownVariables!: string[];
}
