/**
 * One message on its way through the lists of a service, as smtpd_check.c evaluates them: what is
 * reached, what ends a list early, what rejects or defers the message. Where the outcome depends on
 * what cannot be known here, it is 'perhaps'.
 */

import { effectOf, tableAnswers } from './access-table.ts'
import { both, type Certainty, either } from './certainty.ts'
import type { Client } from './client.ts'
import { asksForCertificates } from './logins.ts'
import type { Parameters, Setting } from './parameters.ts'
import { type PolicyItem, readPolicyItem } from './policy-item.ts'
import { tokenise } from './restriction-list.ts'
import {
  type Effect,
  type PermitFor,
  type Restriction,
  restriction,
  type TableKey,
} from './restrictions.ts'
import { STATES, type Stage, type State } from './stages.ts'

export interface Question {
  readonly parameters: Parameters
  readonly version: string
  /** Is the server to which that smtpd would connect our daemon? */
  isOurs(item: PolicyItem): boolean
}

/** Something that keeps the rest of a list from being evaluated. */
export interface Obstacle {
  readonly kind: 'permit' | 'table' | 'policy' | 'refusal' | 'unknown word' | 'deferral'
  /** As it stands in the list: `permit_mynetworks`, `check_client_access hash:/etc/x`. */
  readonly text: string
  readonly certainty: Certainty
  readonly list: string
  readonly setting: Setting
}

/** One place in a list where the daemon would be queried. */
export interface Query {
  readonly list: string
  readonly state: State
  readonly setting: Setting
  readonly text: string
  readonly item: PolicyItem
  readonly reached: Certainty
  /** What precedes it and ends, or may end, the list. */
  readonly obstacles: readonly Obstacle[]
  /** Preceded by warn_if_reject: what the daemon rejects is accepted. */
  readonly isWarned: boolean
  /** The restriction class that contains it. */
  readonly byClass: string | undefined
}

export function classesOf(parameters: Parameters): string[] {
  return tokenise(parameters.value('smtpd_restriction_classes')).map(({ text }) => text)
}

type TableEffect = Extract<Effect, { does: 'table' }>

/** How far the evaluation of a list has got. */
interface Position {
  /** Is the next restriction evaluated? */
  readonly reached: Certainty
  /**
   * defer_if_permit was evaluated: mail that is not rejected is deferred. Valid until the end of
   * RCPT.
   */
  readonly isDeferred: Certainty
  readonly defersRejects: Certainty
  /** Some of the messages that got here were permitted and skip the rest of the list. */
  readonly isPermitted: boolean
}

/** At a greater depth Postfix assumes a loop. */
const MOST_RECURSION = 100

/** One message on its way through the lists. */
export class Message {
  readonly queries: Query[] = []
  readonly refusals: Obstacle[] = []
  passes: Certainty = 'yes'
  readonly #question: Question
  readonly #client: Client
  #stage: Stage = { list: '', state: 'CONNECT' }
  #obstacles: Obstacle[] = []
  #at: Position = { reached: 'yes', isDeferred: 'no', defersRejects: 'no', isPermitted: false }
  /** The depth at which warn_if_reject occurred; 0: not in effect. */
  #warnedAt = 0
  /**
   * The table or policy service whose result is being evaluated: obstacles are reported under its
   * name.
   */
  #source: Pick<Obstacle, 'kind' | 'text'> | undefined
  /** A permit is a mistake here. */
  #mustNotPermit = false
  #byClass: string | undefined

  constructor(question: Question, client: Client) {
    this.#question = question
    this.#client = client
  }

  /** Certainly rejected, deferred or discarded. */
  get isOver(): boolean {
    return this.passes === 'no'
  }

  pass(stage: Stage): void {
    const isSecondForRecipient = isForRecipient(stage) && isForRecipient(this.#stage)
    if (stage.state === 'DATA' || stage.state === 'END-OF-MESSAGE') this.#settle()
    if (this.isOver) return
    // A client that sends no EHLO or HELO skips this list; AUTH works without either.
    const isForHello = stage.list === 'smtpd_helo_restrictions'
    this.#at = {
      reached: isForHello ? this.#saysHello() : 'yes',
      isDeferred: this.#at.isDeferred,
      defersRejects: isSecondForRecipient ? this.#at.defersRejects : 'no',
      isPermitted: false,
    }
    this.#stage = stage
    this.#obstacles = []
    this.#warnedAt = 0
    this.#walk(this.#parameters.value(stage.list), 1)
    if (stage.state === 'END-OF-MESSAGE') this.#settle()
  }

  get #parameters(): Parameters {
    return this.#question.parameters
  }

  /** At the end of RCPT, DATA and END-OF-MESSAGE, mail marked by defer_if_permit is deferred. */
  #settle(): void {
    const { isDeferred } = this.#at
    if (isDeferred === 'yes') this.#refused(this.#note('deferral', 'defer_if_permit', 'yes'))
    if (isDeferred === 'perhaps') this.passes = both(this.passes, 'perhaps')
    this.#at = { ...this.#at, isDeferred: 'no' }
  }

  #walk(value: string, depth: number): void {
    const { version } = this.#question
    const words = tokenise(value)
    for (let i = 0; i < words.length && this.#at.reached !== 'no'; i++) {
      const name = words[i]?.text ?? ''
      const known = restriction(name, version)
      if (known?.effect.does === 'warn') {
        if (this.#warnedAt === 0) this.#warnedAt = depth
        continue
      }
      if (known?.hasArgument) i++
      if (known) this.#known(name, known, words[i]?.text, depth)
      else this.#other(name, depth)
      if (this.#warnedAt >= depth) this.#warnedAt = 0
      this.#endIfTorn()
    }
    if (this.#warnedAt >= depth) this.#warnedAt = 0
  }

  #known(name: string, known: Restriction, argument: string | undefined, depth: number): void {
    const { effect } = known
    const text = known.hasArgument ? `${name} ${argument ?? ''}`.trim() : name
    switch (effect.does) {
      case 'permit':
        this.#permit(this.#holds(effect.for), 'permit', text)
        break
      case 'refuse':
        this.#refuse(text)
        break
      case 'table':
        if (argument?.includes(':')) this.#table(argument, effect, text, depth)
        else this.#end('unknown word', text)
        break
      case 'policy':
        if (argument?.includes(':')) this.#policy(argument, text, depth)
        else this.#end('unknown word', text)
        break
      case 'sleep':
        if (!/^\d+$/.test(argument ?? '')) this.#end('unknown word', text)
        break
      case 'defer-if-permit':
        this.#deferIfPermit()
        break
      case 'defer-if-reject':
        this.#deferIfReject()
        break
      default:
    }
  }

  /** A table without a keyword in front, a restriction class, or a mistake. */
  #other(name: string, depth: number): void {
    const key = name.includes(':') ? DEFAULT_KEYS[this.#stage.list] : undefined
    const isClass = classesOf(this.#parameters).includes(name) && depth <= MOST_RECURSION
    if (key) this.#table(name, { key, isLookedUp: false, mayPermit: true }, name, depth)
    else if (isClass) this.#class(name, depth)
    else this.#end('unknown word', name)
  }

  #class(name: string, depth: number): void {
    const outer = this.#byClass
    this.#byClass = name
    this.#walk(this.#parameters.value(name), depth + 1)
    this.#byClass = outer
  }

  #policy(argument: string, text: string, depth: number): void {
    const { version, isOurs } = this.#question
    const item = readPolicyItem(argument, version)
    // A malformed item keeps smtpd from starting: see `fatalMistake`.
    if (typeof item === 'string') return
    if (!isOurs(item)) {
      this.#anything({ kind: 'policy', text }, depth)
      return
    }
    const { list, state } = this.#stage
    this.queries.push({
      list,
      state,
      setting: this.#parameters.setting(list),
      text,
      item,
      reached: this.#at.reached,
      obstacles: [...this.#obstacles],
      isWarned: this.#warnedAt > 0,
      byClass: this.#byClass,
    })
  }

  #table(
    table: string,
    { key, isLookedUp, mayPermit }: Pick<TableEffect, 'key' | 'isLookedUp' | 'mayPermit'>,
    text: string,
    depth: number,
  ): void {
    const known = both(this.#isKnown(key), isLookedUp ? 'perhaps' : 'yes')
    if (known === 'no') return
    const source = { kind: 'table', text } as const
    const outer = this.#mustNotPermit
    this.#mustNotPermit ||= !mayPermit
    const found = tableAnswers(table)
    if (!found) this.#anything(source, depth)
    else if (found.isAlways && known === 'yes') {
      this.#answers(source, () => this.#answer(found.answers[0] ?? '', depth))
    } else {
      this.#oneOf(
        source,
        found.answers.map(answer => () => this.#answer(answer, depth)),
      )
    }
    this.#mustNotPermit = outer
  }

  /** A server that may return anything may permit, and may return a restriction class. */
  #anything(source: Pick<Obstacle, 'kind' | 'text'>, depth: number): void {
    const answers = ['OK', ...classesOf(this.#parameters)]
    this.#oneOf(
      source,
      answers.map(answer => () => this.#answer(answer, depth)),
    )
  }

  #answer(answer: string, depth: number): void {
    switch (effectOf(answer)) {
      case 'permit':
        this.#permit('yes', 'permit', answer)
        break
      case 'refuse':
        this.#refuse(answer)
        break
      case 'hang up':
        this.#end('refusal', answer)
        break
      case 'discard':
        // Discarded mail reaches nobody. Postfix cannot discard before MAIL, or with a proxy
        // filter.
        if (this.#isFrom('MAIL') && this.#parameters.value('smtpd_proxy_filter') === '') {
          this.#end('refusal', answer)
        }
        break
      case 'defer-if-permit':
        this.#deferIfPermit()
        break
      case 'defer-if-reject':
        this.#deferIfReject()
        break
      case 'mistake':
        this.#end('unknown word', answer)
        break
      case 'list':
        if (depth > MOST_RECURSION) this.#end('unknown word', answer)
        else this.#walk(answer, depth + 1)
        break
      default:
    }
  }

  #answers(source: Pick<Obstacle, 'kind' | 'text'>, run: () => void): void {
    const outer = this.#source
    this.#source ??= source
    run()
    this.#source = outer
  }

  /** One of these happens, or nothing. */
  #oneOf(source: Pick<Obstacle, 'kind' | 'text'>, branches: readonly (() => void)[]): void {
    const before = this.#at
    const warnedAt = this.#warnedAt
    const seen = this.#obstacles
    const start = { ...before, reached: both(before.reached, 'perhaps'), isPermitted: false }
    const ends = branches.map(branch => {
      this.#at = start
      this.#warnedAt = warnedAt
      this.#obstacles = [...seen]
      this.#answers(source, branch)
      return this.#at
    })
    const merged = (flag: 'isDeferred' | 'defersRejects') =>
      ends.some(end => end[flag] !== before[flag]) ? 'perhaps' : before[flag]
    this.#obstacles = seen
    this.#warnedAt = warnedAt
    this.#at = {
      ...before,
      isDeferred: merged('isDeferred'),
      defersRejects: merged('defersRejects'),
    }
    if (ends.some(({ isPermitted }) => isPermitted)) {
      this.#permit('perhaps', source.kind, source.text)
    }
  }

  /** Is a table queried with such a key here? */
  #isKnown(key: TableKey): Certainty {
    const is = (condition: boolean): Certainty => (condition ? 'yes' : 'no')
    switch (key) {
      case 'client':
        return 'yes'
      case 'HELO':
        return this.#isFrom('EHLO') ? this.#saysHello() : 'no'
      case 'sender':
        return is(this.#isFrom('MAIL'))
      case 'recipient':
        return this.#hasRecipient()
      case 'certificate':
        return is(this.#showsCertificate())
      case 'login':
        return is(this.#isLoggedIn())
      case 'ETRN':
        return 'no'
    }
  }

  #saysHello(): Certainty {
    return this.#parameters.isYes('smtpd_helo_required') ? 'yes' : 'perhaps'
  }

  #isFrom(state: State): boolean {
    return STATES.indexOf(this.#stage.state) >= STATES.indexOf(state)
  }

  /** After RCPT the recipient is known only if there is just one. */
  #hasRecipient(): Certainty {
    return this.#stage.state === 'RCPT' ? 'yes' : this.#isFrom('DATA') ? 'perhaps' : 'no'
  }

  /** STARTTLS follows CONNECT, and is followed by another EHLO. */
  #showsCertificate(): boolean {
    const isInTime = this.#isFrom('EHLO') || this.#parameters.isYes('smtpd_tls_wrappermode')
    return isInTime && this.#client.hasCertificate && asksForCertificates(this.#parameters)
  }

  #isLoggedIn(): boolean {
    return (
      this.#isFrom('MAIL') &&
      this.#client.isAuthenticated &&
      this.#parameters.isYes('smtpd_sasl_auth_enable')
    )
  }

  #holds(whom: PermitFor): Certainty {
    const { isInMynetworks } = this.#client
    switch (whom) {
      case 'everybody':
        return 'yes'
      case 'mynetworks':
        return isInMynetworks && this.#parameters.value('mynetworks') !== '' ? 'yes' : 'no'
      case 'authenticated':
        return this.#isLoggedIn() ? 'yes' : 'no'
      case 'trusted certificates':
        return this.#showsCertificate() ? 'yes' : 'no'
      case 'listed certificates': {
        return this.#showsCertificate() && this.#parameters.value('relay_clientcerts') !== ''
          ? 'perhaps'
          : 'no'
      }
      case 'own addresses':
        return isInMynetworks ? 'perhaps' : 'no'
      case 'recipient':
        return both(this.#hasRecipient(), 'perhaps')
      case 'recipient, or refused':
        return both(this.#hasRecipient(), this.#warnedAt > 0 ? 'perhaps' : 'yes')
      case 'remote list':
      case 'HELO name':
        return 'perhaps'
    }
  }

  #permit(certainty: Certainty, kind: Obstacle['kind'], text: string): void {
    if (certainty === 'no') return
    if (this.#mustNotPermit) {
      if (certainty === 'yes') this.#end('unknown word', text)
      return
    }
    this.#note(kind, text, certainty)
    const reached = certainty === 'yes' ? 'no' : both(this.#at.reached, 'perhaps')
    this.#at = { ...this.#at, reached, isPermitted: true }
  }

  #deferIfPermit(): void {
    // With warn_if_reject the deferral would be immediate, and is only logged.
    if (this.#warnedAt > 0) return
    this.#at = { ...this.#at, isDeferred: either(this.#at.isDeferred, this.#at.reached) }
  }

  #deferIfReject(): void {
    this.#at = { ...this.#at, defersRejects: either(this.#at.defersRejects, this.#at.reached) }
  }

  /** With both flags set, Postfix knows the result and stops evaluating this list. */
  #endIfTorn(): void {
    const { isDeferred, defersRejects, reached } = this.#at
    const isTorn = both(isDeferred, defersRejects)
    if (isTorn === 'yes') this.#at = { ...this.#at, reached: 'no' }
    if (isTorn === 'perhaps') this.#at = { ...this.#at, reached: both(reached, 'perhaps') }
  }

  #refuse(text: string): void {
    if (this.#warnedAt === 0) this.#end('refusal', text)
  }

  /** Evaluation of the list ends here for every message. */
  #end(kind: Obstacle['kind'], text: string): void {
    const obstacle = this.#note(kind, text, this.#at.reached)
    // A preceding permit may let the mail pass, or the client sends no EHLO.
    if (this.#at.reached === 'yes') this.#refused(obstacle)
    else if (this.#stage.list === 'smtpd_helo_restrictions')
      this.passes = both(this.passes, 'perhaps')
    this.#at = { ...this.#at, reached: 'no' }
  }

  #refused(obstacle: Obstacle): void {
    this.passes = 'no'
    this.refusals.push(obstacle)
  }

  #note(kind: Obstacle['kind'], text: string, certainty: Certainty): Obstacle {
    const { list } = this.#stage
    const setting = this.#parameters.setting(list)
    const source = this.#source
    const isPermit = kind === 'permit' || kind === 'table' || kind === 'policy'
    const by = (isPermit && source?.kind) || kind
    const obstacle = { kind: by, text: source?.text ?? text, certainty, list, setting }
    this.#obstacles.push(obstacle)
    return obstacle
  }
}

function isForRecipient({ list }: Stage): boolean {
  return list === 'smtpd_relay_restrictions' || list === 'smtpd_recipient_restrictions'
}

/**
 * The key that a table without `check_…_access` in front is queried with; in other lists it is a
 * mistake.
 */
const DEFAULT_KEYS: Readonly<Record<string, TableKey | undefined>> = {
  smtpd_client_restrictions: 'client',
  smtpd_helo_restrictions: 'HELO',
  smtpd_sender_restrictions: 'sender',
  smtpd_relay_restrictions: 'recipient',
  smtpd_recipient_restrictions: 'recipient',
}
