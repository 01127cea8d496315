/** A limit in megabytes is named where Postfix does not tell how large a message is. */

import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { checkStages } from '../../daemon/diagnosis/check-stages.ts'
import { formatProblem } from '../../daemon/policy/problem.ts'
import { runProgram } from '../../daemon/system/external-program.ts'

const hasPostfix = spawnSync('postconf', ['-d', 'mail_version']).status === 0
const skip = hasPostfix ? false : 'this needs Postfix'
if (skip && process.env.CI) throw new Error(skip)

const ITEM = 'check_policy_service inet:127.0.0.1:12345'
const VOLUME = `<VirtualHost 12345>
  name = v
  <Plugin volume>
    module    = "SendingLimit"
    threshold = 20
    unit      = megabytes
    <User alice>
      most_megabytes = 5
    </User>
  </Plugin>
</VirtualHost>
`

function setUp(t: Test, lists: string): string {
  const root = mkdtempSync(join(tmpdir(), 'stages-'))
  t.teardown(() => rmSync(root, { recursive: true }))
  mkdirSync(join(root, 'etc/postfix'), { recursive: true })
  mkdirSync(join(root, 'etc/univention-mtpolicyd'))
  writeFileSync(
    join(root, 'etc/postfix/main.cf'),
    `compatibility_level = 3.6\nsmtpd_sasl_auth_enable = yes\n${lists}\n`,
  )
  writeFileSync(
    join(root, 'etc/postfix/master.cf'),
    'smtp inet n - n - - smtpd\nsubmission inet n - n - - smtpd\n',
  )
  return root
}

async function problemsOf(root: string, text: string): Promise<string[]> {
  const file = join(root, 'etc/univention-mtpolicyd/mtpolicyd.conf')
  writeFileSync(file, text)
  const problems = await checkStages(file, {
    run: runProgram,
    endpoint: { host: 'localhost', port: 12345 },
    stateFile: join(root, 'postfix.json'),
    configDirs: [join(root, 'etc/postfix')],
  })
  return problems.map(problem => formatProblem(problem).replaceAll(root, ''))
}

const AT_RCPT = `smtpd_recipient_restrictions = ${ITEM}, permit_sasl_authenticated, reject`

t.test('a Postfix that queries at RCPT only knows no size', { skip }, async t => {
  t.match(await problemsOf(setUp(t, AT_RCPT), VOLUME), [
    /mtpolicyd\.conf:6:17: warning: megabytes are counted at END-OF-MESSAGE, but Postfix \(\/etc\/postfix\) queries the daemon only at RCPT, for smtp\/inet, submission\/inet: expected smtpd_end_of_data_restrictions$/,
    /mtpolicyd\.conf:8:24: warning: the size is known at END-OF-MESSAGE, /,
  ])
})

t.test('at the end of the message it knows it', { skip }, async t => {
  const atEnd = `smtpd_end_of_data_restrictions = ${ITEM}`
  t.same(await problemsOf(setUp(t, atEnd), VOLUME), [])
  t.same(await problemsOf(setUp(t, `${AT_RCPT}\n${atEnd}`), VOLUME), [])
})

t.test(
  'a limit of recipients needs no size, and a Postfix that never asks no limit',
  { skip },
  async t => {
    t.same(await problemsOf(setUp(t, AT_RCPT), VOLUME.replace(/.*megabytes.*\n/g, '')), [])
    t.same(await problemsOf(setUp(t, ''), VOLUME), [])
  },
)

t.test('check says it, and that is no error', { skip }, async t => {
  const root = setUp(t, AT_RCPT)
  await problemsOf(root, VOLUME)
  const { status, stderr } = spawnSync(
    process.execPath,
    [join(import.meta.dirname, '../../daemon/cli/main.ts'), '--root', root, 'check'],
    { encoding: 'utf8' },
  )
  t.match(stderr, /:6:17: warning: megabytes are counted at END-OF-MESSAGE/)
  t.equal(status, 0, stderr)
})
