/** Events of mail by a seed, and what the history must know of them: a plain model. */

import type { Clock } from '../../daemon/system/clock.ts'
import type { Mail } from './some-mail.ts'

const HOUR = 3_600_000
/** Of the first event; in the middle of an hour. */
export const BEGAN = Date.UTC(2026, 10, 20, 12, 30)

export interface MadeEvent {
  readonly at: number
  readonly mail: Mail
}

/** The same numbers for the same seed. */
function dice(seed: number): (sides: number) => number {
  let state = seed | 0
  return sides => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
    return Math.floor(((state >>> 8) / 2 ** 24) * sides)
  }
}

/** Messages are asked about again, so that what was counted changes. */
export function madeEvents(seed: number, count: number): MadeEvent[] {
  const roll = dice(seed)
  const events: MadeEvent[] = []
  const recent: { user: string; instance: string; port: string }[] = []
  let at = BEGAN
  for (let number = 0; number < count; number++) {
    // The clock goes on by some seconds; now and then it is set back by hours.
    at += roll(200) === 0 ? -roll(3) * HOUR : roll(60_000)
    const known = roll(3) === 0 ? recent[roll(recent.length)] : undefined
    const port = roll(4) === 0 ? '25' : '587'
    const user = ['alice', 'bob', 'Carol', 'dave@example.org', ''][roll(5)] ?? ''
    const message = known ?? { user, instance: `${seed}.${number}.0`, port }
    if (!known) recent.push(message)
    if (recent.length > 8) recent.shift()
    // What is queried at RCPT on port 25 is never queried at the end.
    const stage = message.port === '25' ? 'RCPT' : (['DATA', 'END-OF-MESSAGE'][roll(2)] ?? '')
    const isRefused = roll(6) === 0
    const action = isRefused
      ? (['reject too much', '450 4.7.1 later', 'defer_if_permit'][roll(3)] ?? '')
      : (['dunno', 'dunno', 'dunno', 'PREPEND X: y', undefined][roll(5)] ?? undefined)
    events.push({
      at,
      mail: {
        user: message.user,
        instance: message.instance,
        stage,
        action,
        recipients: 1 + roll(5),
        size: roll(100_000),
        client: `192.0.2.${roll(5)}`,
        country: ['DE', 'ES', ''][roll(3)] ?? '',
        code: isRefused ? `N${number}` : '',
        by: isRefused ? 'limit' : '',
        more: { server_address: '192.0.2.1', server_port: message.port },
      },
    })
  }
  return events
}

export interface Sums {
  messages: number
  recipients: number
  refused: number
  bytes: number
}

interface Counted {
  readonly hour: number
  readonly account: string
  readonly sums: Sums
  recipients: number
  bytes: number
}

/** What the sums of each account and hour come to, and the codes of refusals in their order. */
export function modelOf(events: readonly MadeEvent[]): {
  hours: Map<string, Sums>
  codes: Map<string, string[]>
} {
  const hours = new Map<string, Sums>()
  const codes = new Map<string, string[]>()
  const counted = new Map<string, Counted>()
  for (const { at, mail } of events) {
    const { action, stage, instance = '', recipients = 1, size = 0 } = mail
    if (action === undefined) continue
    const account = (mail.user ?? '').toLowerCase()
    const hour = Math.floor(at / HOUR) * HOUR
    const key = `${account} ${hour}`
    const sums = hours.get(key) ?? { messages: 0, recipients: 0, refused: 0, bytes: 0 }
    hours.set(key, sums)
    const before = counted.get(`${account} ${instance}`)
    const takeBack = (): void => {
      if (!before) return
      before.sums.messages--
      before.sums.recipients -= before.recipients
      before.sums.bytes -= before.bytes
      counted.delete(`${account} ${instance}`)
    }
    if (mail.code) {
      sums.refused++
      codes.set(account, [mail.code, ...(codes.get(account) ?? [])])
      if (stage !== 'RCPT') takeBack()
      continue
    }
    const now = stage === 'RCPT' ? 1 : recipients
    if (!before) {
      sums.messages++
      sums.recipients += now
      sums.bytes += size
      counted.set(`${account} ${instance}`, { hour, account, sums, recipients: now, bytes: size })
      continue
    }
    const all = stage === 'RCPT' ? before.recipients + 1 : now
    const bytes = stage === 'RCPT' ? before.bytes : size
    before.sums.recipients += all - before.recipients
    before.sums.bytes += bytes - before.bytes
    before.recipients = all
    before.bytes = bytes
  }
  for (const [key, sums] of hours) {
    if (Object.values(sums).every(sum => sum === 0)) hours.delete(key)
  }
  return { hours, codes }
}

/** A clock that says what the test wants. */
export function madeClock(real: Clock): Clock & { at: number } {
  const clock = { ...real, at: BEGAN, now: () => clock.at }
  return clock
}
