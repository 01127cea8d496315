import { isIPv4 } from 'node:net'
import fc from 'fast-check'
import t from 'tap'
import {
  type AddressKind,
  addressKind,
  canonicalAddress,
  embeddedIPv4,
  formatIPv4,
  formatIPv6,
  isPublic,
  parseIPv4,
  parseIPv6,
  untranslatedAddress,
} from '../../daemon/net/address.ts'
import { runs } from '../support/fuzz.ts'

t.test('an address has one spelling', async t => {
  const spellings: [written: string, canonical: string | undefined][] = [
    ['192.0.2.1', '192.0.2.1'],
    ['0.0.0.0', '0.0.0.0'],
    ['255.255.255.255', '255.255.255.255'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:c000:0201', '192.0.2.1'],
    ['0:0:0:0:0:ffff:192.0.2.1', '192.0.2.1'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['fe80::1%eth0', 'fe80::1'],
    ['64:ff9b::192.0.2.1', '64:ff9b::c000:201'],
    // Mapped is only ::ffff:0:0/96.
    ['::fffe:192.0.2.1', '::fffe:c000:201'],
    ['1::ffff:192.0.2.1', '1::ffff:c000:201'],
    ['unknown', undefined],
    ['', undefined],
    ['192.0.2', undefined],
    ['192.0.2.256', undefined],
    ['192.0.2.01', undefined],
    ['192.0.2.1.', undefined],
    ['192.0.2.1.1', undefined],
    ['.192.0.2', undefined],
    ['192..0.2', undefined],
    [' 192.0.2.1', undefined],
    ['192.0.2.1\n', undefined],
    ['0x7f.1', undefined],
    ['[::1]', undefined],
    ['1:2:3:4:5:6:7', undefined],
    ['::1::', undefined],
    ['::ffff:192.0.2.300', undefined],
    ['\0', undefined],
    ['9'.repeat(100_000), undefined],
  ]
  for (const [written, canonical] of spellings) {
    t.equal(canonicalAddress(written), canonical, JSON.stringify(written.slice(0, 40)))
  }
})

t.test('dotted IPv4 is what the system accepts', async () => {
  const nearly = fc.oneof(
    fc.ipV4(),
    fc.string({ unit: fc.constantFrom('0', '1', '2', '5', '9', '.'), maxLength: 16 }),
    fc
      .array(fc.constantFrom('0', '00', '01', '1', '25', '255', '256', '1e1', '-1', ''), {
        minLength: 3,
        maxLength: 5,
      })
      .map(parts => parts.join('.')),
    fc.string(),
  )
  fc.assert(
    fc.property(nearly, text => {
      const address = parseIPv4(text)
      return isIPv4(text)
        ? address !== undefined && formatIPv4(address) === text
        : address === undefined
    }),
    { numRuns: runs(2000) },
  )
})

t.test('IPv6 is spelled as in browsers, and parses back to the same groups', async () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.constant(0), fc.nat(0xffff)), { minLength: 8, maxLength: 8 }),
      groups => {
        const text = formatIPv6(groups)
        const expanded = groups.map(group => group.toString(16).padStart(4, '0')).join(':')
        return (
          new URL(`http://[${expanded}]`).hostname === `[${text}]` &&
          parseIPv6(text)?.join() === groups.join() &&
          parseIPv6(expanded)?.join() === groups.join()
        )
      },
    ),
    { numRuns: runs(2000) },
  )
  fc.assert(fc.property(fc.ipV6(), text => canonicalAddress(text) !== undefined))
})

t.test('the kind of an address, at both ends of each network and just outside', async t => {
  const networks: [
    kind: AddressKind,
    first: string,
    last: string,
    before: string,
    after: string,
  ][] = [
    ['private', '10.0.0.0', '10.255.255.255', '9.255.255.255', '11.0.0.0'],
    ['private', '100.64.0.0', '100.127.255.255', '100.63.255.255', '100.128.0.0'],
    ['loopback', '127.0.0.0', '127.255.255.255', '126.255.255.255', '128.0.0.0'],
    ['link-local', '169.254.0.0', '169.254.255.255', '169.253.255.255', '169.255.0.0'],
    ['private', '172.16.0.0', '172.31.255.255', '172.15.255.255', '172.32.0.0'],
    ['private', '192.0.0.0', '192.0.0.255', '191.255.255.255', '192.0.1.0'],
    ['documentation', '192.0.2.0', '192.0.2.255', '192.0.1.255', '192.0.3.0'],
    ['private', '192.168.0.0', '192.168.255.255', '192.167.255.255', '192.169.0.0'],
    ['private', '198.18.0.0', '198.19.255.255', '198.17.255.255', '198.20.0.0'],
    ['documentation', '198.51.100.0', '198.51.100.255', '198.51.99.255', '198.51.101.0'],
    ['documentation', '203.0.113.0', '203.0.113.255', '203.0.112.255', '203.0.114.0'],
    ['unspecified', '0.0.0.0', '0.255.255.255', '1.0.0.0', '1.0.0.0'],
    ['reserved', '224.0.0.0', '255.255.255.255', '223.255.255.255', '223.255.255.255'],
    ['unspecified', '::', '::', '::2', '::2'],
    ['loopback', '::1', '::1', '::2', '::2'],
    ['private', 'fc00::', 'fdff:ffff::1', 'fbff::1', 'fe00::1'],
    ['link-local', 'fe80::', 'febf:ffff::1', 'fe7f::1', 'fe7f::1'],
    ['private', 'fec0::', 'feff::1', 'fe7f::1', 'fe7f::1'],
    ['documentation', '2001:db8::', '2001:db8:ffff::1', '2001:db7::1', '2001:db9::'],
    ['documentation', '3fff::', '3fff:fff::1', '3ffe::1', '3fff:1000::'],
    ['private', '64:ff9b:1::', '64:ff9b:1:ffff::', '64:ff9b::1', '64:ff9b:2::'],
    ['reserved', 'ff00::', 'ffff:ffff::1', 'fe00::1', 'fe00::1'],
  ]
  for (const [kind, first, last, before, after] of networks) {
    t.equal(addressKind(first), kind, first)
    t.equal(addressKind(last), kind, last)
    t.equal(addressKind(before), 'public', before)
    t.equal(addressKind(after), 'public', after)
    if (first.includes('.')) t.equal(addressKind(`::ffff:${first}`), kind, `${first} mapped`)
  }
  t.equal(addressKind('fe80::1%eth0'), 'link-local')
  t.equal(addressKind('unknown'), undefined)
})

t.test('the IPv4 address inside an IPv6 address', async t => {
  const addresses: [address: string, embedded: string | undefined][] = [
    ['2002:c000:201::1', '192.0.2.1'],
    ['2002:FFFF:FFFF:1:2:3:4:5', '255.255.255.255'],
    ['64:ff9b::192.0.2.1', '192.0.2.1'],
    ['64:ff9b:0:0:0:0:c000:0201', '192.0.2.1'],
    // Teredo's own example, RFC 4380.
    ['2001:0000:4136:e378:8000:63bf:3fff:fdd2', '192.0.2.45'],
    ['2001::', '255.255.255.255'],
    ['2001:1::1', undefined],
    ['2003:c000:201::1', undefined],
    ['64:ff9b:1::192.0.2.1', undefined],
    ['64:ff9b::1:c000:201', undefined],
    ['::ffff:192.0.2.1', undefined],
    ['192.0.2.1', undefined],
    ['unknown', undefined],
    ['', undefined],
  ]
  for (const [address, embedded] of addresses) t.equal(embeddedIPv4(address), embedded, address)
})

t.test('behind a NAT64 translator a client is known by its IPv4 address', async t => {
  t.equal(untranslatedAddress('64:ff9b::8.8.8.8'), '8.8.8.8')
  for (const address of ['64:ff9b::127.0.0.1', '64:ff9b::10.0.0.1', '2002:808:808::1', '8.8.8.8']) {
    t.equal(untranslatedAddress(address), address)
  }
})

t.test('which addresses can be on the Internet', async t => {
  for (const address of ['127.0.0.1', '::1', '::ffff:10.1.2.3', 'fd00::1', 'fe80::1', '0.0.0.0']) {
    t.notOk(isPublic(address), address)
  }
  for (const nonsense of ['unknown', '', '192.0.2.1 ']) t.notOk(isPublic(nonsense), nonsense)
  for (const address of ['192.0.2.1', '2001:db8::1', '240.0.0.1', '::ffff:198.51.100.7']) {
    t.ok(isPublic(address), address)
  }
})
