/** The tabs a newcomer finds: one operation of each kind, in the order one would try them. */
export const examples: { query: string; variables?: string }[] = [
  {
    query: `# The inbox: conversations, newest activity first.
# Run it with the button on the right or Ctrl-Enter.
query Inbox {
  conversations(first: 10) {
    nodes {
      id
      contact {
        displayName
      }
      unreadCount
      lastMessage {
        content {
          __typename
          ... on TextContent {
            text
          }
        }
      }
    }
    pageInfo {
      hasNextPage
      endCursor
    }
    total
  }
  # Subscribe after this position: nothing falls between.
  eventCursor
}
`,
  },
  {
    query: `# Everything that happens in the inbox, as it happens.
# Run it, then send a message or call a webhook.
# inbox(after: "<cursor>") replays what was missed since the
# eventCursor of a page or the cursor of the last event.
subscription InboxEvents {
  inbox {
    __typename
    ... on Event {
      cursor
      at
    }
    ... on MessageEvent {
      created
      message {
        id
        senderType
        deliveryState
        content {
          __typename
          ... on TextContent {
            text
          }
        }
        conversation {
          id
          unreadCount
        }
      }
    }
    ... on ConversationEvent {
      created
      conversation {
        id
        state
        unreadCount
      }
    }
    ... on ChannelEvent {
      channel {
        id
        name
        connected
      }
    }
    ... on TagEvent {
      tag {
        id
        name
      }
      deletedId
    }
    ... on ResetEvent {
      reason
    }
  }
}
`,
  },
  {
    query: `# Answers in a conversation. Put the id of one into
# Variables below: the first tab lists them.
mutation SendMessage($input: SendMessageInput!) {
  sendMessage(input: $input) {
    message {
      id
      sentAt
      deliveryState
      failure {
        code
        message
      }
    }
  }
}
`,
    variables: `{
  "input": {
    "conversationId": "<id of a conversation>",
    "text": "Hello from Parley"
  }
}
`,
  },
];
