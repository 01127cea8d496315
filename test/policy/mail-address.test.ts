/** How Postfix hands addresses on, and how lists and servers want them. */

import fc from 'fast-check'
import t from 'tap'
import {
  plainAddress,
  plainDomain,
  quotedAddress,
  writtenAddress,
} from '../../daemon/policy/mail-address.ts'
import { attributeOf, spellings } from '../../daemon/policy/spelling.ts'

t.test('a final dot and the case of a domain mean nothing, those of a local part do', async t => {
  for (const [address, plain] of [
    ['Bob@Example.ORG', 'Bob@example.org'],
    ['Bob@example.org.', 'Bob@example.org'],
    ['a.@example.org', 'a.@example.org'],
    ['a@b@EXAMPLE.org.', 'a@b@example.org'],
    ['POSTMASTER', 'POSTMASTER'],
    ['', ''],
    ['a@', 'a@'],
    ['a@[IPv6:2001:DB8::1]', 'a@[ipv6:2001:db8::1]'],
  ] as const) {
    t.equal(plainAddress(address), plain, address)
  }
  t.equal(plainDomain('MAIL.example.org.'), 'mail.example.org')
  t.equal(plainDomain('.'), '')
})

t.test('a local part that is no dot-atom is quoted for SMTP', async t => {
  for (const [address, quoted] of [
    ['bob@example.org', 'bob@example.org'],
    ["o'brien+tag=1@example.org", "o'brien+tag=1@example.org"],
    ['j\u00f6rg@example.org', 'j\u00f6rg@example.org'],
    ['john doe@example.org', '"john doe"@example.org'],
    ['a@b@example.org', '"a@b"@example.org'],
    ['a..b@example.org', '"a..b"@example.org'],
    ['.a@example.org', '".a"@example.org'],
    ['a"b\\c@example.org', '"a\\"b\\\\c"@example.org'],
    ['<x>@example.org', '"<x>"@example.org'],
    ['postmaster', 'postmaster'],
    ['', ''],
  ] as const) {
    t.equal(quotedAddress(address), quoted, address)
    t.equal(writtenAddress(quoted), plainAddress(address), `${quoted} as a person writes it`)
  }
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), local => {
      const address = `${local}@example.org`
      return writtenAddress(quotedAddress(address)) === address
    }),
  )
})

t.test('a list is asked for an address as it came, plain, and with quotes', async t => {
  t.strictSame(spellings('sender', 'bob@example.org'), ['bob@example.org'])
  t.strictSame(spellings('recipient', 'a b@Example.org.'), [
    'a b@Example.org.',
    'a b@example.org',
    '"a b"@example.org',
  ])
  t.strictSame(spellings('helo_name', 'MX.example.org.'), ['MX.example.org.', 'mx.example.org'])
  t.strictSame(spellings('queue_id', 'AB.'), ['AB.'], 'nothing else has a domain')
  t.strictSame(spellings('client_address', '2001:DB8:0::1'), ['2001:DB8:0::1', '2001:db8::1'])
  t.strictSame(spellings('client_address', 'unknown'), ['unknown'])
  t.strictSame(spellings('sasl_username', 'ALICE'), ['ALICE', 'alice'])
  t.equal(attributeOf('r:sender'), 'sender')
  t.equal(attributeOf('request:sender'), 'sender')
  t.equal(attributeOf('sender'), 'sender')
  t.equal(attributeOf('s:sender'), undefined)
})
