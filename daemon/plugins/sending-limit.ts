/**
 * SendingLimit - at most so many recipients per user and day.
 *
 *   <Plugin limit>
 *     module    = "SendingLimit"
 *     threshold = 1000
 *     <User newsletter@example.org>
 *       threshold = 20000
 *     </User>
 *     <User ceo>
 *       threshold = unlimited
 *     </User>
 *   </Plugin>
 *
 * Counts what Postfix accepts from each sasl_username, every recipient once, however the service
 * is asked: at RCPT, DATA, END-OF-MESSAGE or several of them. Made for
 * smtpd_end_of_data_restrictions: a message is accepted or refused whole, and counted exactly. A
 * count is on disk before Postfix hears the answer. The day is the calendar day of the time zone
 * in `timezone`. A limit that is lowered below what was used refuses until the day ends.
 *
 * Put it last: a message that a later plugin refuses has been counted here.
 *
 * `counter` names the count, else the name of the block does: blocks with the same name, in several
 * virtual hosts say, share it. Of two that share one and are asked about the same mail, the first
 * one decides.
 */

import type { Judgement, LedgerEvent } from '../policy/ledger.ts'
import { ownText } from '../policy/own-text.ts'
import { definePlugin, type Outcome } from '../policy/plugin.ts'
import { custom, optional, text } from '../policy/setting.ts'
import { reject } from '../policy/verdict.ts'
import { calendarDays, type Day } from '../policy/window.ts'
import { readUsers } from './user-blocks.ts'

const MOST = 1_000_000_000
/** Characters of what is remembered; Postfix's instance has some 25, an address at most 320 (RFC 5321). */
const MOST_CHARACTERS = 512

const threshold = custom<number>(
  'a whole number from 0 to 1,000,000,000, or unlimited',
  value => {
    if (value.toLowerCase() === 'unlimited') return Number.POSITIVE_INFINITY
    return /^\d{1,10}$/.test(value) && Number(value) <= MOST ? Number(value) : undefined
  },
  { doc: 'Recipients per user and day.' },
)

const STAGES: readonly LedgerEvent['stage'][] = ['END-OF-MESSAGE', 'DATA', 'RCPT']

export const sendingLimit = definePlugin({
  name: 'SendingLimit',
  summary: 'At most so many recipients per user and day.',
  blocks: ['User'],
  usesLedger: true,
  settings: {
    threshold,
    default_domain: text({ doc: 'Domain cut from user names.', fallback: '' }),
    counter: optional(text({ doc: 'Name of the count; without one, the block’s own name.' })),
  },
  create(settings, { name, section, clock, ledger, timezone, observe, problems, refuse }) {
    const scope = settings.counter ?? name
    if (scope.length > MOST_CHARACTERS) {
      refuse(
        `a counter's name has ${MOST_CHARACTERS} characters at most, this one ${scope.length}`,
        'counter',
      )
    }
    const ofUser = readUsers(section, { threshold }, settings.default_domain, problems)
    const dayOf = calendarDays(timezone)
    const turnText = turnFormatter(timezone)
    let anonymous = 0
    /** Without one, or with one that no Postfix sends, a request is a message of its own. */
    const instanceOf = (instance: string, now: number): string =>
      instance === '' || instance.length > MOST_CHARACTERS
        ? `anonymous.${now}.${anonymous++}`
        : instance
    /** No mail system takes one that is longer: it counts, and is not known again. */
    const recipientOf = (recipient: string): string =>
      recipient.length > MOST_CHARACTERS ? `long.${anonymous++}` : recipient
    const serviceOf = serviceNames()

    return (request, { facts }) => {
      const account = request.account(settings.default_domain)
      const state = request.text('protocol_state')
      const stage = STAGES.find(known => known === state)
      if (account === '' || stage === undefined) return undefined
      const limit = ofUser(account)?.threshold ?? settings.threshold
      const now = clock.now()
      const day = dayOf(now)
      const recipients = stage === 'RCPT' ? 1 : Math.max(1, request.count('recipient_count'))
      const event: LedgerEvent = {
        scope,
        account,
        stage,
        instance: instanceOf(request.text('instance'), now),
        connection: request.connection.id,
        service: serviceOf(request.text('server_address'), request.text('server_port')),
        recipient: recipientOf(request.text('recipient')),
        recipients,
        limit: observe ? Number.POSITIVE_INFINITY : limit,
        day,
        now,
      }
      const react = ({ accepted, used, takeBack }: Judgement): Outcome => {
        request.onTakeBack(takeBack)
        facts.used = used
        facts.limit = limit
        if (accepted && used <= limit) return undefined
        if (accepted && !observe) return undefined
        const before = observe ? used - recipients : used
        const refusal = reject(refusalText(before, limit, recipients, turnText(day)))
        if (!observe) return refusal
        facts.observed ??= refusal
        return undefined
      }
      const judgement = ledger.judge(event)
      return judgement instanceof Promise ? judgement.then(react) : react(judgement)
    }
  },
})

/** The SMTP service that asks; most often it is the one that asked before. */
function serviceNames(): (address: string, port: string) => string {
  let last = { address: '', port: '', name: ':' }
  return (address, port) => {
    if (address !== last.address || port !== last.port) {
      const name = `${address}:${port}`.slice(0, MOST_CHARACTERS)
      last = { address: ownText(address), port: ownText(port), name: ownText(name) }
    }
    return last.name
  }
}

/** In words a mail user understands: the limit, what is left, and when the count starts anew. */
function refusalText(used: number, limit: number, recipients: number, turn: string): string {
  const left = Math.max(0, limit - used)
  const rest =
    left === 0
      ? 'none are left today'
      : `${left} ${left === 1 ? 'is' : 'are'} left today and this message has ${recipients}`
  return `5.7.1 You may send to ${limit} recipients per day, ${rest}; the count starts anew on ${turn}`
}

/** `2026-11-21 at 00:00 (Europe/Berlin)`. Made for the first refusal: it takes 10 ms. */
function turnFormatter(timezone: string | undefined): (day: Day) => string {
  let format: Intl.DateTimeFormat | undefined
  return day => {
    format ??= new Intl.DateTimeFormat('en-CA', {
      ...(timezone === undefined ? {} : { timeZone: timezone }),
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      hourCycle: 'h23',
    })
    const { timeZone } = format.resolvedOptions()
    return `${format.format(day.endsAt).replace(', ', ' at ')} (${timezone ?? timeZone})`
  }
}
