/**
 * A mail is refused, and what `mtpolicyctl why` says would let it pass is done literally: each command is run
 * as it is printed, with what else is said to be needed, and the next mail is accepted.
 */

import { execFileSync } from 'node:child_process'
import type { Test } from 'tap'
import { type HistoryDaemon, historyDaemon } from './history-daemon.ts'

/** Addresses whose country is beyond doubt. */
const GERMAN = '193.99.144.80'
export const CHINESE = '223.5.5.5'
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

export interface Situation {
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

export async function checkRemedies(t: Test, situation: Situation): Promise<void> {
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
}
