import { ApiKey } from './domain/accounts/api-keys/api-key.entity.ts';
import { keyPrefixes } from './domain/accounts/api-keys/api-key.service.ts';
import { verifyApiKey } from './domain/accounts/api-keys/api-key.verify.service.ts';
import { ApiKeyGroup } from './domain/accounts/api-keys/api-key-group.entity.ts';
import { Secret } from './domain/accounts/secrets/secret.entity.ts';
import { UserAccount } from './domain/accounts/users/user.entity.ts';
import { verifyUserToken } from './domain/accounts/users/user.service.ts';
import { registerOpaqueTokenKind, registerTokenKind } from './domain/authentication.ts';
import { Flow } from './domain/automation/flows/flow.entity.ts';
import { branchStep } from './domain/automation/flows/step-branch.ts';
import { endStep } from './domain/automation/flows/step-end.ts';
import { messageStep } from './domain/automation/flows/step-message.ts';
import { setStep } from './domain/automation/flows/step-set.ts';
import { waitStep } from './domain/automation/flows/step-wait.ts';
import { registerStepKind } from './domain/automation/flows/steps.service.ts';
import { advanceJourney } from './domain/automation/journeys/journey.advance.service.ts';
import { verifyJourneyToken } from './domain/automation/journeys/journey.link.service.ts';
import { hearMessages } from './domain/automation/journeys/journey.listen.service.ts';
import { journeyLane } from './domain/automation/journeys/journey.service.ts';
import { journeyChecks } from './domain/automation/journeys/kept-listeners.ts';
import { registerMessageListener } from './domain/events.ts';
import { registerLaneKind } from './domain/jobs.ts';
import { Channel } from './domain/messaging/channels/channel.entity.ts';
import { Contact } from './domain/messaging/contacts/contact.entity.ts';
import { Conversation } from './domain/messaging/conversations/conversation.entity.ts';
import { keptChecks as conversationChecks } from './domain/messaging/conversations/kept-totals.ts';
import { deliverConversation } from './domain/messaging/messages/message.deliver.service.ts';
import { Message } from './domain/messaging/messages/message.entity.ts';
import { conversationLane } from './domain/messaging/messages/message.send.service.ts';
import { DeliveryAttempt } from './domain/messaging/sources/delivery-attempt.entity.ts';
import { Source } from './domain/messaging/sources/source.entity.ts';
import { verifySourceToken } from './domain/messaging/sources/source.service.ts';
import { Tag } from './domain/messaging/tags/tag.entity.ts';
import { MessageTemplate } from './domain/messaging/templates/message-template.entity.ts';
import { olderThanDays, registerCleaner, retentionKind, retentionLane } from './domain/retention.ts';

// What the parts of the domain are to each other: they register here and do not know of one another.

/** Tables that are mapped to classes. */
export const entities = [
  UserAccount,
  ApiKey,
  ApiKeyGroup,
  Secret,
  Source,
  Channel,
  Contact,
  Conversation,
  Message,
  Tag,
  MessageTemplate,
  DeliveryAttempt,
  Flow,
];

registerTokenKind('user', verifyUserToken);
registerTokenKind('source', verifySourceToken);
for (const prefix of Object.values(keyPrefixes)) registerOpaqueTokenKind(prefix, verifyApiKey);
registerTokenKind('journey', verifyJourneyToken);
registerLaneKind(conversationLane, deliverConversation);
registerLaneKind(retentionLane.kind, retentionKind);
registerLaneKind(journeyLane, advanceJourney);
registerMessageListener(hearMessages);
registerStepKind(messageStep);
registerStepKind(waitStep);
registerStepKind(branchStep);
registerStepKind(setStep);
registerStepKind(endStep);
registerCleaner(olderThanDays('delivery_attempt', 'at', 30));
registerCleaner(olderThanDays('waiting_metadata', 'created_at', 30));
registerCleaner(olderThanDays('idempotency_record', 'created_at', 2));
registerCleaner(olderThanDays('login_throttle', 'window_ends_at', 1));
registerCleaner(olderThanDays('reset_token', 'expires_at', 1));
registerCleaner(olderThanDays('invitation', 'expires_at', 1));
registerCleaner(olderThanDays('legacy_call', 'day', 400));
registerCleaner(olderThanDays('journey_event', 'consumed_at', 30));

/** What is written beside the rows that it follows from, with how to look at it and mend it. */
export const keptChecks = [...conversationChecks, ...journeyChecks];
