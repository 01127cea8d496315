/** Who is named in the audit of a measure. */

import { userInfo } from 'node:os'
import t from 'tap'
import { orderedBy } from '../../daemon/cli/ordered-by.ts'

t.test('the person behind sudo, the login, or the user of a process without a login', async t => {
  t.equal(orderedBy({ SUDO_USER: 'carol', LOGNAME: 'root' }), 'carol')
  t.equal(orderedBy({ LOGNAME: 'dave' }), 'dave')
  t.equal(orderedBy({}), userInfo().username)
})
