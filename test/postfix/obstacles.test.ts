/** What precedes our item, as the model names it: the basis of messages to the administrator. */

import t from 'tap'
import { CLIENTS, type ClientName } from '../../daemon/postfix/smtpd/client.ts'
import { type Decision, decide } from '../../daemon/postfix/smtpd/decision.ts'
import { parametersOf, readSettings } from '../../daemon/postfix/smtpd/parameters.ts'

const ASK = 'check_policy_service inet:127.0.0.1:12345'
const DEFAULTS = new Map([
  ['mail_version', '3.7.11'],
  ['smtpd_delay_reject', 'yes'],
  ['smtpd_relay_before_recipient_restrictions', 'yes'],
  ['mynetworks', '127.0.0.0/8'],
])

function decisionOf(mainCf: string, client: ClientName = 'authenticated'): Decision {
  const settings = readSettings(`smtpd_sasl_auth_enable = yes\n${mainCf}`, '/etc/postfix/main.cf')
  const parameters = parametersOf(settings, DEFAULTS)
  const isOurs = ({ server }: { server: { kind: string; port?: string } }) =>
    server.port === '12345'
  return decide({ parameters, version: '3.7.11', isOurs }, CLIENTS[client])
}

const END = 'smtpd_end_of_data_restrictions'

t.test('a permit, with its place', async t => {
  const { asked, queries } = decisionOf(`\n${END} = permit_sasl_authenticated, ${ASK}\n`)
  t.equal(asked, 'no')
  t.strictSame(queries, [], 'after it nothing is queried')
  const other = decisionOf(`\n${END} = permit_sasl_authenticated, ${ASK}\n`, 'stranger')
  t.match(other, { asked: 'yes', queries: [{ list: END, reached: 'yes', obstacles: [] }] })
  t.match(other.queries[0]?.setting, { place: { file: '/etc/postfix/main.cf', line: 3 } })
})

t.test('servers that may answer anything', async t => {
  const table = 'check_client_access hash:/etc/postfix/clients'
  t.match(decisionOf(`${END} = ${table}, ${ASK}\n`), {
    asked: 'perhaps',
    queries: [
      { reached: 'perhaps', obstacles: [{ kind: 'table', text: table, certainty: 'perhaps' }] },
    ],
  })
  const policy = 'check_policy_service inet:127.0.0.1:10023'
  t.match(decisionOf(`${END} = ${policy}, ${ASK}\n`), {
    asked: 'perhaps',
    queries: [{ obstacles: [{ kind: 'policy', text: policy, certainty: 'perhaps' }] }],
  })
})

t.test('a table that returns a class: the table is reported', async t => {
  const mainCf = `smtpd_restriction_classes = known
known = permit_sasl_authenticated
${END} = check_sender_access inline:{example.org=known}, ${ASK}
`
  t.match(decisionOf(mainCf), {
    asked: 'perhaps',
    queries: [
      { obstacles: [{ kind: 'table', text: 'check_sender_access inline:{example.org=known}' }] },
    ],
  })
  t.match(decisionOf(mainCf, 'stranger'), { asked: 'yes', queries: [{ obstacles: [] }] })
})

t.test('a rejection and a mistake are reported as such, even from a table', async t => {
  for (const [list, kind, text] of [
    ['reject', 'refusal', 'reject'],
    ['check_sender_access static:REJECT', 'refusal', 'check_sender_access static:REJECT'],
    ['check_sender_access static:DISCARD', 'refusal', 'check_sender_access static:DISCARD'],
    ['no_such_word', 'unknown word', 'no_such_word'],
    [
      'check_sender_access static:no_such_word',
      'unknown word',
      'check_sender_access static:no_such_word',
    ],
    ['defer_if_permit', 'deferral', 'defer_if_permit'],
  ] as const) {
    const { asked, passes, refusals } = decisionOf(
      `smtpd_data_restrictions = ${list}\n${END} = ${ASK}\n`,
    )
    t.match({ asked, passes }, { asked: 'no', passes: 'no' }, list)
    t.match(refusals, [{ kind, text, certainty: 'yes', list: 'smtpd_data_restrictions' }], list)
    t.equal(refusals.length, 1, list)
  }
})

t.test('through a class, and with a warning only', async t => {
  const mainCf = `smtpd_restriction_classes = asking\nasking = ${ASK}\n`
  t.match(decisionOf(`${mainCf}${END} = asking\n`).queries, [
    { byClass: 'asking', isWarned: false },
  ])
  t.match(decisionOf(`${mainCf}${END} = warn_if_reject asking\n`).queries, [{ isWarned: true }])
  t.match(decisionOf(`${END} = warn_if_reject ${ASK}\n`).queries, [
    { byClass: undefined, isWarned: true },
  ])
})

t.test('under stress it is a different list', async t => {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: Postfix's own
  const list = '${stress?{permit}:{ASK}}'.replace('ASK', ASK)
  t.match(decisionOf(`${END} = ${list}\n`), { asked: 'perhaps', passes: 'yes' })
})
