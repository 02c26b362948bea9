import { describe, expect, it } from '@jest/globals';
import { addressRange, isInRanges } from '../../src/domain/addresses.ts';

describe('addresses', () => {
  it.each<[string, string | undefined]>([
    ['203.0.113.7', '203.0.113.7'],
    ['203.0.113.7/32', '203.0.113.7'],
    ['203.0.113.7/24', '203.0.113.0/24'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['2001:DB8:0::1', '2001:db8::1'],
    ['2001:db8::1/32', '2001:db8::/32'],
    ['::/0', '::/0'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['::ffff:cb00:7107', '203.0.113.7'],
    ['::ffff:203.0.113.7/120', '203.0.113.0/24'],
    ['::ffff:0:0/95', undefined],
    ['203.0.113', undefined],
    ['203.0.113.07', undefined],
    ['3405803783', undefined],
    ['0xcb007107', undefined],
    ['203.0.113.0/', undefined],
    ['203.0.113.0/33', undefined],
    ['203.0.113.0/-1', undefined],
    ['203.0.113.0/024', undefined],
    ['203.0.113.0/24/24', undefined],
    ['2001:db8::/129', undefined],
    ['[2001:db8::1]', undefined],
    ['fe80::1%eth0', undefined],
    [' 203.0.113.7', undefined],
    ['example.com', undefined],
    ['', undefined],
  ])('reads %s as %s', (text, range) => {
    expect(addressRange(text)).toBe(range);
    if (range) expect(addressRange(range)).toBe(range);
  });

  it.each<[string, string, boolean]>([
    ['203.0.113.7', '203.0.113.7', true],
    ['203.0.113.8', '203.0.113.7', false],
    ['203.0.113.255', '203.0.113.0/24', true],
    ['::ffff:203.0.113.255', '203.0.113.0/24', true],
    ['203.0.113.7', '::/0', false],
    ['::1', '0.0.0.0/0', false],
    ['2001:db8:ffff::1', '2001:db8::/32', true],
    ['fe80::1%eth0', 'fe80::/10', true],
    ['203.0.113.7:80', '203.0.113.0/24', false],
    ['unknown', '0.0.0.0/0', false],
  ])('%s in %s: %s', (address, range, expected) => {
    expect(isInRanges(address, [range])).toBe(expected);
  });
});
