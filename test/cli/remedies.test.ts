/**
 * What `mtpolicyctl why` says would let a mail pass, done literally: each command is run as it is printed, and
 * the next mail is accepted.
 */

import { execFileSync } from 'node:child_process'
import t, { type Test } from 'tap'
import { type HistoryDaemon, historyDaemon } from '../support/history-daemon.ts'
import { plugin } from '../support/world.ts'

/** Addresses whose country is beyond doubt. */
const GERMAN = '193.99.144.80'
const CHINESE = '223.5.5.5'
const MAIL = {
  request: 'smtpd_access_policy',
  protocol_state: 'END-OF-MESSAGE',
  client_address: GERMAN,
  client_name: 'client.example.net',
  sasl_username: 'alice',
  sender: 'alice@example.org',
  recipient: '',
  recipient_count: '2',
  size: '1234567',
}

interface Situation {
  readonly variables?: Readonly<Record<string, string>>
  readonly plugins?: string
  readonly mail?: Readonly<Record<string, string>>
  /** Mails that are accepted before. */
  readonly before?: number
  /** Commands after that. */
  readonly orders?: readonly string[]
  /** The answer that lets it pass; the default is dunno. */
  readonly passes?: RegExp
  /** The rules that would refuse it next. */
  readonly further?: readonly string[]
}

/** What the shell makes of it. */
function words(command: string): string[] {
  const script = `mtpolicyctl() { printf '%s\\0' "$@"; }\n${command}`
  return execFileSync('sh', ['-c', script], { encoding: 'utf8' }).split('\0').slice(0, -1)
}

const DAY = { 'mtpolicyd/threshold': '5' }
const DEFAULT_DOMAIN = { 'mtpolicyd/defaultdomain': 'example.org' }
const limit = (text: string, name: string): string => plugin('SendingLimit', text, name)

const cases: Readonly<Record<string, Situation>> = {
  'a day': { variables: DAY, before: 2 },
  'a day on which nothing may be sent': { variables: { 'mtpolicyd/user/alice/threshold': '0' } },
  'any 24 hours': { variables: { 'mtpolicyd/threshold/rolling': '5' }, before: 2 },
  'an hour and a minute': {
    variables: { 'mtpolicyd/threshold/hour': '5', 'mtpolicyd/threshold/minute': '5' },
    before: 2,
    further: ['minute (SendingLimit)'],
  },
  'a day, and the server': {
    variables: { ...DAY, 'mtpolicyd/server/threshold': '4' },
    before: 2,
    further: ['server (SendingLimit)'],
  },
  'a day, and a block that came later': {
    variables: DAY,
    before: 2,
    orders: ['mtpolicyctl block alice'],
    further: ['limit (SendingLimit)'],
  },
  'a message, and a day': {
    variables: { 'mtpolicyd/threshold/message': '1', 'mtpolicyd/threshold': '1' },
    mail: { sasl_username: 'Alice@Example.ORG' },
  },
  'a message of users of a domain': {
    variables: { 'mtpolicyd/domain/example.org/user/threshold/message': '1' },
    mail: { sasl_username: 'Alice@Example.ORG' },
  },
  'a domain with an umlaut': {
    variables: { 'mtpolicyd/domain/müller.example/threshold': '5' },
    mail: { sasl_username: 'jürgen@müller.example' },
    before: 2,
  },
  'the users of a domain, a minute': {
    variables: { 'mtpolicyd/domain/example.org/user/threshold/minute': '5' },
    mail: { sasl_username: 'alice@example.org' },
    before: 2,
  },
  'the server, an hour, deferred': {
    variables: { 'mtpolicyd/server/threshold/hour': '5', 'mtpolicyd/excess': 'defer' },
    before: 2,
  },
  'a country, and a day': {
    variables: { 'mtpolicyd/threshold': '1' },
    mail: { client_address: CHINESE },
    further: ['limit (SendingLimit)'],
  },
  'a country and a hold': {
    variables: { 'mtpolicyd/threshold': '1', 'mtpolicyd/excess': 'hold' },
    mail: { client_address: CHINESE },
    passes: /^hold/,
  },
  'no country': {
    variables: { 'mtpolicyd/unknowncountry': 'refuse' },
    mail: { client_address: '3fff:abcd::1' },
  },
  'a name that no variable can have': {
    variables: DAY,
    mail: { sasl_username: 'DOMAIN\\alice' },
    before: 2,
  },
  'a name that no variable can have, and its country': {
    mail: { sasl_username: 'DOMAIN\\alice', client_address: CHINESE },
  },
  'a name that begins like an option': {
    variables: DAY,
    mail: { sasl_username: '-O’Brien $HOME' },
    before: 2,
  },
  'an account whose variables have the default domain': {
    variables: { ...DEFAULT_DOMAIN, 'mtpolicyd/user/alice@example.org/threshold': '5' },
    before: 2,
  },
  'an account whose list of countries has the default domain': {
    variables: { ...DEFAULT_DOMAIN, 'mtpolicyd/user/alice@example.org/allowedcountries': 'AT' },
    mail: { sasl_username: 'ALICE@example.org' },
  },
  'an account whose limit of a message has the default domain': {
    variables: { ...DEFAULT_DOMAIN, 'mtpolicyd/user/alice@example.org/threshold/message': '1' },
  },
  'recipients and messages of a file of one’s own': {
    plugins: limit('threshold = 5', 'one') + limit('threshold = 2\nunit = messages', 'two'),
    before: 2,
    further: ['two (SendingLimit)'],
  },
  'megabytes in a file of one’s own': {
    plugins: limit('threshold = 3\nunit = megabytes', 'size'),
    before: 2,
  },
  'ten minutes in a file of one’s own': {
    plugins: limit('threshold = 5\nwindow = 10m', 'ten'),
    before: 2,
  },
}

interface Fix {
  readonly text: string
  readonly command: string
}

interface Shown {
  readonly remedies: readonly Fix[]
  readonly further: ReadonlyArray<{ readonly rule: string; readonly remedies: readonly Fix[] }>
}

interface Scene {
  readonly daemon: HistoryDaemon
  readonly send: () => Promise<string | undefined>
  readonly shown: Shown
}

async function scene(t: Test, situation: Situation): Promise<Scene> {
  const { variables, plugins, mail, before = 0, orders = [] } = situation
  const daemon = await historyDaemon(
    t,
    plugins === undefined
      ? { variables: { 'mtpolicyd/threshold': 'unlimited', ...variables } }
      : { plugins },
  )
  let instances = 0
  const send = (): Promise<string | undefined> =>
    daemon.ask({ ...MAIL, ...mail, instance: `a.${instances++}` })
  for (let i = 0; i < before; i++) t.equal(await send(), 'dunno')
  for (const order of orders) t.equal((await daemon.ctl(...words(order))).status, 0, order)
  const told = await send()
  const code = / \((...-...)\)$/.exec(told ?? '')?.[1]
  if (code === undefined) throw new Error(`not refused: ${told}`)
  await daemon.explained(code)
  return { daemon, send, shown: JSON.parse((await daemon.ctl('why', code, '--json')).stdout) }
}

for (const [name, situation] of Object.entries(cases)) {
  t.test(name, { timeout: 90_000 }, async t => {
    const first = await scene(t, situation)
    const { remedies, further } = first.shown
    t.not(remedies.length, 0, 'there is a remedy')
    t.strictSame(
      further.map(({ rule }) => rule),
      situation.further ?? [],
    )
    for (const [i, { command }] of remedies.entries()) {
      const { daemon, send } = i === 0 ? first : await scene(t, situation)
      const rest = further.map(one => one.remedies[0]?.command ?? '')
      for (const each of [command, ...rest]) {
        const { status, stderr } = await daemon.ctl(...words(each))
        t.equal(status, 0, `${each} ${stderr}`)
        // Where it is a setting: this daemon is in the test's own process, which ctl does not know.
        await daemon.daemon.reload()
      }
      t.match(await send(), situation.passes ?? /^dunno$/, [command, ...rest].join('; '))
    }
  })
}
