/** LDAP filters as text: what a value may contain, and what is not a filter. */

import fc from 'fast-check'
import t from 'tap'
import { escapeLdapValue, LdapFilterError, readLdapFilter } from '../../daemon/text/ldap-filter.ts'

t.test('an escaped value is exactly that value, whatever it contains', async t => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), value => {
      const filter = readLdapFilter(`(& (mail=${escapeLdapValue(value)}) (x=1) )`)
      const [first] = filter.kind === 'and' ? filter.of : []
      return first?.kind === 'equal' && Buffer.from(value).equals(first.value)
    }),
  )
  t.strictSame(readLdapFilter('(a=*)'), { kind: 'present', attribute: 'a' })
  t.match(readLdapFilter('(a=\\2a)'), { kind: 'equal', value: Buffer.from('*') })
})

t.test('any text is a filter or a clear mistake', async t => {
  fc.assert(
    fc.property(fc.stringMatching(/^[()&|!=*\\a0: ;~<>-]{0,40}$/), text => {
      try {
        readLdapFilter(text)
      } catch (error) {
        if (!(error instanceof LdapFilterError)) throw error
      }
    }),
    { numRuns: 2000 },
  )
  t.throws(() => readLdapFilter('('.repeat(10_000)), { name: 'LdapFilterError' })
  t.throws(() => readLdapFilter(`${'(!'.repeat(200)}(a=b)${')'.repeat(200)}`), {
    message: /at most 100 levels/,
  })
  const long = readLdapFilter(`(a=${'\\2a'.repeat(100_000)})`)
  t.equal(long.kind === 'equal' && long.value.length, 100_000)
})
