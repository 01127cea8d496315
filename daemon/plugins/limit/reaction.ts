/** What a limit answers once the ledger has told it where a mail stands. */

import { fillTemplate } from '../../policy/fields.ts'
import type { Context, Limit, MaybePromise, Outcome, Surroundings } from '../../policy/plugin.ts'
import type { Claim, Ledger, LedgerEvent, Standing, Unit } from '../../policy/ports/ledger.ts'
import type { PolicyRequest } from '../../policy/request.ts'
import { reject } from '../../policy/verdict.ts'
import { whenReady } from '../../system/maybe-promise.ts'
import { amountOf, scaleOf } from './amount.ts'
import { type Placeholder, timeText } from './own-text.ts'
import type { Rule } from './rule.ts'
import { NULL_SENDER, type SubjectKind } from './subject.ts'
import { type LANGUAGES, wordings } from './texts.ts'
import type { LimitWindow } from './window.ts'
import type { Wording } from './wording.ts'

/** What all rules of a block have in common. */
export interface Voice {
  /** The block's name. */
  readonly name: string
  readonly ledger: Ledger
  readonly counter: string
  readonly unit: Unit
  readonly kind: SubjectKind
  readonly window: LimitWindow
  readonly wording: Wording
  /** The operator's own; undefined: ours. */
  readonly text: string | undefined
  /** A moment, as people read it. */
  timeText(at: number): string
  note(message: () => string): void
}

/** @param values of the block's options */
export function voiceOf(
  values: {
    readonly per: SubjectKind
    readonly window: LimitWindow
    readonly language: (typeof LANGUAGES)[number]
    readonly text: string | undefined
  },
  counter: string,
  unit: Unit,
  surroundings: Surroundings,
): Voice {
  const { name, ledger, timezone, note } = surroundings
  return {
    name,
    ledger,
    counter,
    unit,
    kind: values.per,
    window: values.window,
    wording: wordings[values.language],
    text: values.text,
    timeText: timeText(timezone),
    note,
  }
}

/** A refusal without a text of its own: it gets the limit's. */
const BARE_REFUSAL = /^(?:reject|defer|defer_if_permit|[45]\d\d)$/i
/** At the beginning of a text: `4.7.1 `. */
const ENHANCED_CODE = /^[245]\.\d{1,3}\.\d{1,3} /
const LONGEST_NAME = 100

export function limitOf(rule: Rule, voice: Voice): Limit {
  const softest = rule.grades[0]?.beyond ?? Number.POSITIVE_INFINITY
  return {
    ledger: voice.ledger,
    counter: voice.counter,
    unit: voice.unit,
    most: rule.hard,
    mostRecipients: rule.mostRecipients,
    react(standing, claim, event, context) {
      const { accepted, used } = standing
      if (accepted && used >= rule.nearAt) noteNear(context, rule, voice, standing, claim, event)
      // Also what is accepted may be beyond the limit: in observe mode, or after the limit was lowered.
      if (accepted && used <= softest) return undefined
      const grade = accepted
        ? rule.grades.findLast(({ beyond }) => used > beyond)
        : rule.grades.at(-1)
      if (!grade) return undefined
      const before = beforeIt(standing, amountOf(event, claim.unit))
      return new Answer(voice, claim, event, before, grade.beyond).to(grade.action)
    },
    share: ({ used }) => (rule.limit === 0 ? Number.POSITIVE_INFINITY : used / rule.limit),
    note({ used }, { unit }, { facts }) {
      facts.used = used / scaleOf(unit)
      facts.limit = limitFact(rule.limit, scaleOf(unit))
    },
    overCap: () => tooManyRecipients(rule, voice),
    saw: ({ used }, { unit }) => ({
      used: used / scaleOf(unit),
      limit: limitFact(rule.limit, scaleOf(unit)),
    }),
  }
}

/** What was used before this mail. */
function beforeIt({ accepted, used }: Standing, amount: number): number {
  return accepted ? Math.max(0, used - amount) : used
}

function tooManyRecipients({ mostRecipients }: Rule, { wording }: Voice): string {
  return reject(`5.5.3 ${wording.tooManyRecipients(mostRecipients)}`)
}

/** `size`: bytes. */
function tooBig({ mostBytes }: Rule, size: number, { wording }: Voice): string {
  return reject(`5.3.4 ${wording.tooBig(mostBytes, size)}`)
}

/** The refusal of a message that is too large by itself; undefined: it is not. */
export function beyondCap(rule: Rule, request: PolicyRequest, voice: Voice): string | undefined {
  const { mostBytes, mostRecipients } = rule
  if (mostBytes < Number.POSITIVE_INFINITY) {
    // At RCPT the size is what the client has announced.
    const size = request.count('size')
    if (size > mostBytes) return tooBig(rule, size, voice)
  }
  // At RCPT it is 0, and the ledger knows how many there are.
  if (mostRecipients === Number.POSITIVE_INFINITY) return undefined
  const isOver = request.count('recipient_count') > mostRecipients
  return isOver ? tooManyRecipients(rule, voice) : undefined
}

/** Notes that this mail has brought what is used to the rule's `warn_at`. */
function noteNear(
  { facts }: Context,
  { limit, nearAt }: Rule,
  { name, note }: Voice,
  standing: Standing,
  { subject, unit }: Claim,
  event: LedgerEvent,
): void {
  if (beforeIt(standing, amountOf(event, unit)) >= nearAt) return
  const near = String(facts.near ?? '')
  if (near.split(',').includes(name)) return
  facts.near = near === '' ? name : `${near},${name}`
  const scale = scaleOf(unit)
  note(() => `${subject || 'the server'} has used ${standing.used / scale} of ${limit / scale}`)
}

function limitFact(limit: number, scale: number): number | string {
  return Number.isFinite(limit) ? limit / scale : 'unlimited'
}

/** The text of an answer about one mail that is beyond a limit. */
class Answer {
  readonly #voice: Voice
  readonly #claim: Claim
  readonly #event: LedgerEvent
  readonly #amount: number
  readonly #before: number
  readonly #limit: number
  readonly #left: number

  constructor(voice: Voice, claim: Claim, event: LedgerEvent, before: number, limit: number) {
    this.#voice = voice
    this.#claim = claim
    this.#event = event
    this.#amount = amountOf(event, claim.unit)
    this.#before = before
    this.#limit = limit
    this.#left = Math.max(0, limit - before)
  }

  to(action: string): MaybePromise<Outcome> {
    if (BARE_REFUSAL.test(action)) return this.#refusal(action)
    return /^hold$/i.test(action) ? this.#held(action) : this.#filled(action)
  }

  /** With a reason that Postfix logs. */
  #held(action: string): string {
    const { window, name } = this.#voice
    const { unit } = this.#claim
    const words = unit === 'bytes' ? 'megabytes' : unit
    const number = this.#limit / scaleOf(unit)
    return `${action} beyond ${number} ${words} per ${wordings.en.window(window)} (${name})`
  }

  #refusal(action: string): MaybePromise<Outcome> {
    const digit = /^(?:defer|4)/i.test(action) ? '4' : '5'
    const { text } = this.#voice
    return whenReady(text === undefined ? this.#ours() : this.#filled(text), words =>
      ENHANCED_CODE.test(words)
        ? `${action} ${digit}${words.slice(1)}`
        : `${action} ${digit}.7.1 ${words}`,
    )
  }

  #ours(): MaybePromise<string> {
    const { wording, window } = this.#voice
    const { unit } = this.#claim
    const limit = this.#limit
    // A time is told where nothing is left, and where the window moves.
    const needsTime = limit > 0 && (this.#left === 0 || typeof window !== 'string')
    return whenReady(needsTime ? this.#again() : '', again =>
      wording.refused({
        unit,
        window,
        whom: this.#whom(),
        limit,
        left: this.#left,
        amount: this.#amount,
        again,
      }),
    )
  }

  /** The operator's words. */
  #filled(template: string): MaybePromise<string> {
    if (!template.includes('%')) return template
    const { wording, window } = this.#voice
    const scale = scaleOf(this.#claim.unit)
    const number = (amount: number): string => String(Math.round((amount / scale) * 10) / 10)
    const fits = this.#amount <= this.#limit
    const again = template.includes('%AGAIN%') && fits ? this.#again() : undefined
    return whenReady(again, again => {
      const values: Record<Placeholder, string> = {
        USER: shown(this.#event.account || this.#claim.subject),
        LIMIT: number(this.#limit),
        USED: number(this.#before),
        LEFT: number(this.#left),
        RECIPIENTS: String(Math.max(1, this.#event.recipients)),
        WINDOW: wording.window(window),
        AGAIN: again ?? wording.never,
      }
      return fillTemplate(template, values)
    })
  }

  /** When there is room again, as people read it; undefined: never. */
  #again(): MaybePromise<string | undefined> {
    const { ledger, timeText } = this.#voice
    const { window } = this.#claim
    if ('endsAt' in window) return timeText(window.endsAt)
    return whenReady(ledger.fitsAt(this.#event, this.#claim), at =>
      at === undefined ? undefined : timeText(at),
    )
  }

  /** Whose limit it is, for the text; undefined: the user's own. */
  #whom(): string | undefined {
    const { kind, wording } = this.#voice
    const { subject } = this.#claim
    if (kind === 'user') return undefined
    if (kind === 'server') return wording.server
    const isDomain = kind === 'domain' && !subject.startsWith(NULL_SENDER)
    return isDomain ? wording.domain(shown(subject)) : shown(subject)
  }
}

/** A subject in a reply of SMTP: short and in ASCII. */
function shown(subject: string): string {
  const name = subject.startsWith(NULL_SENDER) ? subject.slice(NULL_SENDER.length) : subject
  const short = name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME - 3)}...` : name
  return short.replace(/[^ -~]/g, '?')
}
