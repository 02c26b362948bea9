/** One turn of a script: who writes, and ways to say it. Words in braces are filled once per conversation. */
export interface Turn {
  by: 'contact' | 'agent';
  says: string[];
}

/** What a conversation is about and how it goes; a conversation may end after any turn. */
export interface Script {
  topic: string;
  turns: Turn[];
}

const contact = (...says: string[]): Turn => ({ by: 'contact', says });
const agent = (...says: string[]): Turn => ({ by: 'agent', says });

/** The channels of the demo: id on the source's side and name. */
export const channels = [
  { id: 'web-chat', name: 'Website chat' },
  { id: 'messenger', name: 'Messenger' },
  { id: 'sms', name: 'Text messages' },
  { id: 'mail', name: 'service@ mailbox' },
] as const;

export const agents = ['Mara', 'Jonas', 'Priya', 'Tom'];

export const firstNames = [
  'Amina',
  'Anders',
  'Beatriz',
  'Carlos',
  'Chloe',
  'Daniel',
  'Dilnoza',
  'Elena',
  'Emeka',
  'Farah',
  'Felix',
  'Grace',
  'Hana',
  'Hugo',
  'Ingrid',
  'Ivan',
  'Jasmin',
  'Joao',
  'Kaito',
  'Katrin',
  'Lars',
  'Leila',
  'Lucas',
  'Maeve',
  'Marco',
  'Mei',
  'Mehmet',
  'Nadia',
  'Noah',
  'Olga',
  'Oscar',
  'Paula',
  'Pavel',
  'Rania',
  'Ravi',
  'Rosa',
  'Samuel',
  'Sofia',
  'Tariq',
  'Theo',
  'Uma',
  'Valeria',
  'Victor',
  'Wanjiru',
  'Xenia',
  'Yara',
  'Yusuf',
  'Zoe',
];

export const lastNames = [
  'Adeyemi',
  'Almeida',
  'Andersson',
  'Baker',
  'Bianchi',
  'Chen',
  'Costa',
  'Demir',
  'Dubois',
  'Eriksen',
  'Fischer',
  'Garcia',
  'Hassan',
  'Horvat',
  'Ito',
  'Jansen',
  'Kaya',
  'Keller',
  'Kim',
  'Kowalski',
  'Laurent',
  'Lindqvist',
  'Mbeki',
  'Moreau',
  'Murphy',
  'Nakamura',
  'Novak',
  'Okafor',
  'Olsen',
  'Patel',
  'Petrov',
  'Quinn',
  'Rossi',
  'Santos',
  'Schmidt',
  'Singh',
  'Tanaka',
  'Torres',
  'Usman',
  'Vargas',
  'Weber',
  'Williams',
  'Yilmaz',
  'Zhang',
];

export const slots: Record<string, string[]> = {
  product: [
    'Fjord rain jacket',
    'Alder backpack',
    'Lumen head torch',
    'Tarn two-person tent',
    'Moss sleeping bag',
    'Ridge hiking boots',
    'Kestrel trekking poles',
    'Ember camping stove',
    'Drift kayak vest',
    'Pine wool sweater',
  ],
  colour: ['dark green', 'navy', 'rust', 'black', 'sand'],
  garment: ['Fjord rain jacket', 'Pine wool sweater', 'Drift kayak vest', 'Birch trousers'],
  size: ['S', 'M', 'L', 'XL'],
  city: ['Leeds', 'Porto', 'Graz', 'Malmo', 'Ghent', 'Lyon', 'Cork', 'Turin'],
  day: ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday'],
  time: ['9:30', '11:00', '14:15', '16:00', '17:30'],
  amount: ['19.90', '34.50', '59.00', '89.00', '129.00', '214.00'],
  street: ['12 Mill Lane', 'Rua das Flores 8', 'Lindengasse 41', '3 Harbour View', 'Storgatan 17'],
};

const thanks = contact('Thank you!', 'Great, thanks a lot.', 'Perfect, thank you {agent}.', 'That helps, thanks.');
const bye = agent('You are welcome, {first}. Have a good day!', 'Any time. Enjoy the outdoors!', 'Happy to help.');

export const scripts: Script[] = [
  {
    topic: 'Where is my order',
    turns: [
      contact(
        'Hi, I ordered the {product} last week and it has not arrived. Order {order}.',
        'Hello, where is order {order}? It should have been here on {day}.',
      ),
      agent(
        'Hello {first}, {agent} here. Let me look up {order} for you.',
        'Hi {first}, one moment, I am checking with the carrier.',
      ),
      agent(
        'It left our warehouse and is at the depot in {city}. The carrier plans to deliver on {day}.',
        'I can see it in {city}, it was scanned this morning. It should reach you by {day}.',
      ),
      contact(
        'Can they leave it with a neighbour? I am at work until {time}.',
        'Could it go to a pick-up point instead?',
      ),
      agent('Yes, I have added that to the delivery note.', 'Done: the driver gets the note with the parcel.'),
      thanks,
      bye,
    ],
  },
  {
    topic: 'Exchange for another size',
    turns: [
      contact(
        'The {garment} is lovely but too small. Can I get it in {size}?',
        'I need to swap my {garment} for size {size}, order {order}.',
      ),
      agent('Of course. Has it been worn outside?', 'Sure, {first}. Are the labels still on?'),
      contact('Only tried on at home.', 'No, it is as good as new.', 'Labels are on, box is a bit dented.'),
      agent(
        'Then I will reserve {size} in {colour} and mail you a return label.',
        'We have {size} in stock. The label is in your inbox in a minute.',
      ),
      contact('Do I have to pay for the shipping?', 'How long does the exchange take?'),
      agent(
        'No, exchanges are free. The new one leaves as soon as the carrier scans yours.',
        'Nothing to pay. It usually takes four to five days in total.',
      ),
      thanks,
    ],
  },
  {
    topic: 'Arrived damaged',
    turns: [
      contact(
        'My {product} arrived today and a part of it is broken. What now?',
        'Hi, I just unpacked the {product} and it has a crack.',
      ),
      agent(
        'I am sorry about that, {first}. Could you tell me the order number?',
        'That should not happen. Which order is it?',
      ),
      contact('{order}', 'It is {order}. I can send a photo.', 'Order {order}, delivered at {time}.'),
      agent('Thank you. Shall I send a new one?', 'Got it. Would a replacement be fine?'),
      contact(
        'A new one please, if it comes before {day}.',
        'Replacement please.',
        'Replacement, and thanks for the quick answer.',
      ),
      agent(
        'All set, you get a confirmation by mail. No need to send the broken one back.',
        'Done. You will have it in writing within the hour.',
      ),
      thanks,
      bye,
    ],
  },
  {
    topic: 'Invoice',
    turns: [
      contact(
        'I need an invoice with our company address for {order}.',
        'Could you send the invoice of {order} again? My accountant cannot find it.',
      ),
      agent('Certainly. Which address should be on it?', 'Yes, I can do that. Is the address still {street}, {city}?'),
      contact('{street}, {city}', 'Yes, {street}, {city}. VAT number is on the order.'),
      agent('The new invoice over {amount} EUR is on its way to your mailbox.', 'Sent. The old one is cancelled.'),
      thanks,
    ],
  },
  {
    topic: 'Product advice',
    turns: [
      contact(
        'Is the {garment} warm enough for October in the mountains?',
        'Does the {product} come in {colour}?',
        'Would you take the {product} for a week of rain?',
      ),
      agent('Good question. Where are you heading, {first}?', 'How many nights do you plan to be out?'),
      contact(
        'Three nights near {city}, mostly below 1,500 metres.',
        'Just weekends, nothing extreme.',
        'Five days, hut to hut.',
      ),
      agent('Then it is a fine choice. For cold nights add a liner.', 'It will do well. I use it myself for that.'),
      contact('Is it in stock in {city}?', 'And how heavy is it?', 'How do I wash it?'),
      agent(
        'Two left in {colour}. Shall I put one aside until {day}?',
        'You find that on the product page under care and weight; in short: light, and 30 degrees.',
      ),
      contact('Yes please!', 'Let me think about it.', 'Great, I will order it tonight.'),
      bye,
    ],
  },
  {
    topic: 'Change of address',
    turns: [
      contact(
        'I moved! Can you send {order} to {street} in {city} instead?',
        'Wrong address on {order}, sorry. It should be {street}, {city}.',
      ),
      agent(
        'Just in time, it has not been packed yet. I changed it to {street}, {city}.',
        'Let me see if it is still here... yes. Changed.',
      ),
      contact('Phew. Thanks!', 'You saved my {day}.', 'Thank you, that was quick.'),
      bye,
    ],
  },
  {
    topic: 'Repair',
    turns: [
      contact(
        'Do you do repairs? My {product} is three years old.',
        'My {product} broke on the last trip. Can that be fixed?',
      ),
      agent(
        'We do, in our workshop. Repairs cost {amount} EUR at most, often less.',
        'Yes. Send it in or bring it to the shop in {city}.',
      ),
      contact('Can I drop it off on {day} around {time}?', 'How long would it take?'),
      agent(
        '{day} at {time} works, I have noted it. Ask for {agent}.',
        'About two weeks at the moment. We write to you before we start.',
      ),
      contact('See you then.', 'Okay, let us do that.'),
      agent('See you, {first}!'),
    ],
  },
  {
    topic: 'Refund',
    turns: [
      contact(
        'I sent the {product} back ten days ago. When do I get my {amount} EUR?',
        'Still waiting for the refund of {order}.',
      ),
      agent('Let me check, {first}.', 'I will look into it right away.'),
      agent(
        'It arrived on {day}, and the refund was started this morning. Banks take up to three days.',
        'Found it: it was waiting for inspection. I have released {amount} EUR now.',
      ),
      contact(
        'Okay, I will keep an eye on it.',
        'Good. Could you write to me when it is done?',
        'That took long, but thanks.',
      ),
      agent(
        'Please write again if nothing has arrived by {day}.',
        'Sorry for the wait, and thank you for your patience.',
      ),
    ],
  },
  {
    topic: 'Gift card',
    turns: [
      contact('My gift card code does not work at checkout.', 'Can I pay part of {order} with a gift card?'),
      agent(
        'Could you send me the last four characters of the code?',
        'Yes. Enter the code in the last step, the rest goes to your card.',
      ),
      contact('K7QD', 'It says the code has been used. But it has not!', 'Where exactly? I only see PayPal.'),
      agent('Thank you. It has {amount} EUR left and works again now.', 'I reset it, please try again.'),
      contact('Works now, thanks!', 'Yes, that did it.'),
    ],
  },
  {
    topic: 'Opening hours',
    turns: [
      contact('Are you open on {day}?', 'Until when is the shop in {city} open today?'),
      agent('Yes, from {time} until 19:00.', 'Until 19:00, {first}. Parking is behind the house.'),
      thanks,
    ],
  },
  {
    topic: 'Cancel an order',
    turns: [
      contact(
        'I ordered twice by mistake. Please cancel {order}.',
        'Can I still cancel {order}? I found the {product} in a shop here.',
      ),
      agent(
        'Cancelled, nothing will be charged.',
        'It has left already, sorry. You can refuse the parcel and it comes back to us for free.',
      ),
      contact('Good, thank you.', 'Alright, I will do that.', 'Thanks, and the first order still comes?'),
      agent('Exactly. You have it by mail too.', 'Yes, that one is on its way.'),
    ],
  },
  {
    topic: 'Group order',
    turns: [
      contact(
        'We are a scout group and need 24 of the {product}. Is there a discount?',
        'Do you rent the {product}? We need eight for a school trip.',
      ),
      agent('What a nice plan. When do you need them?', 'For groups there is. What is your budget, {first}?'),
      contact('By the end of the month, around {amount} EUR each.', 'On {day} in three weeks.'),
      agent('I will ask our buyer and come back to you today.', 'I put an offer together and send it by {time}.'),
      agent(
        'Here it is: 15 percent off, delivered to {city}. The offer is valid for two weeks.',
        'Our buyer says yes, with free delivery to {city}.',
      ),
      contact('Wonderful, I will show it to the others.', 'Deal! How do we order?', 'That is more than we hoped for.'),
      bye,
    ],
  },
  {
    topic: 'Praise',
    turns: [
      contact(
        'Just wanted to say that the {garment} kept me dry for two weeks. Great work!',
        'Your colleague in {city} was so helpful. Please tell them thanks from {first}.',
      ),
      agent('That makes our day, {first}. I will pass it on!', 'Thank you so much. The whole team reads this.'),
    ],
  },
];
