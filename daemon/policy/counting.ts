/**
 * The limits of one request, gathered on the way through its chain and judged together.
 *
 * A limit that comes up adds its claim. Before a plugin that is not a limit the claims so far are
 * weighed: a refusal ends the chain there, as any plugin's would. When the chain is done and lets the
 * mail through, all of them are judged by one call of the ledger, and the mail is counted by all of
 * them or by none. If anything else refuses the mail, nothing has been counted.
 */

import { type MaybePromise, whenReady } from '../system/maybe-promise.ts'
import type { Facts } from './facts.ts'
import type { LedgerEvents } from './ledger-event.ts'
import type { Link } from './link.ts'
import type { Context, Limit, Outcome } from './plugin.ts'
import type { Claim, Judgement, Ledger, LedgerEvent, Preview, Standing } from './ports/ledger.ts'
import type { PolicyRequest, Stage } from './request.ts'
import { type Decision, refusesMail } from './verdict.ts'

/** The link of a chain that a claim came through; the same for all requests. `C`: what the chain has for a context. */
export interface Source<C extends Context> {
  /** Name of the plugin: of the outermost one, if it is nested. */
  readonly by: string
  readonly link: Link
  /** The limit has failed. May throw RequestFailure. */
  failed(error: unknown, context: C): Outcome
}

/** What one limit claims of this mail, and the link it came through. */
interface Counted<C extends Context> extends Claim {
  readonly by: Limit
  readonly source: Source<C>
}

export class Counting<C extends Context> {
  readonly #events: LedgerEvents
  readonly #request: PolicyRequest
  readonly #stage: Stage
  readonly #now: number
  readonly #ledger: Ledger
  /** In the order of the chain. */
  readonly claims: Counted<C>[] = []
  #mostRecipients = Number.POSITIVE_INFINITY
  /** The claim whose limit has set it. */
  #capped = 0
  #weighed = 0
  /** Limits that have answered for themselves. */
  #answered: Link[] | undefined
  #event: LedgerEvent | undefined
  /** Where each claim stands, once they are judged. */
  #standings: readonly Standing[] | undefined

  /** `now`: milliseconds since 1970. */
  constructor(
    events: LedgerEvents,
    request: PolicyRequest,
    stage: Stage,
    ledger: Ledger,
    now: number,
  ) {
    this.#events = events
    this.#request = request
    this.#stage = stage
    this.#ledger = ledger
    this.#now = now
  }

  /** Is there a claim that was not weighed yet? */
  get hasUnweighed(): boolean {
    return this.#weighed < this.claims.length
  }

  /** The limit itself has refused the mail, and that was noted. */
  answeredBy(link: Link): void {
    if (this.#answered) this.#answered.push(link)
    else this.#answered = [link]
  }

  hasAnswered(link: Link): boolean {
    return this.#answered?.includes(link) ?? false
  }

  /** What the limit of `claims[place]` knows; undefined if it was not judged. */
  sawBy(place: number): Facts | undefined {
    const claim = this.claims[place]
    const standing = this.#standings?.[place]
    return claim && standing && claim.by.saw?.(standing, claim)
  }

  add(by: Limit, subject: string, window: Claim['window'], source: Source<C>): void {
    const { counter, unit, most, mostRecipients } = by
    // The first of a counter decides.
    for (const claim of this.claims) if (claim.counter === counter) return
    if (mostRecipients < this.#mostRecipients) {
      this.#mostRecipients = mostRecipients
      this.#capped = this.claims.length
    }
    this.claims.push({ counter, subject, window, unit, limit: most, by, source })
    this.#event = undefined
  }

  /** The refusal of what has been added so far, if there is one. It is remembered: a repeated request gets it, too. */
  weigh(context: C): MaybePromise<Decision | undefined> {
    this.#weighed = this.claims.length
    return this.#guarded(context, () => {
      const event = this.#eventOf()
      return whenReady(this.#ledger.preview(event), preview => {
        if (preview.accepted) return undefined
        return whenReady(this.#ledger.judge(event), judgement => {
          if (!judgement.accepted) return this.#refusal(judgement, event, context)
          // Something has become free meanwhile; it is judged once more when the chain is done.
          return whenReady(judgement.takeBack(), () => undefined)
        })
      })
    })
  }

  /**
   * Counts the mail, by all limits or by none. What a limit makes of it, or undefined: it goes its way.
   * `observes`: a limit may object to mail that is counted.
   */
  judge(context: C, observes: boolean): MaybePromise<Decision | undefined> {
    if (this.claims.length === 0) return undefined
    return this.#guarded(context, () => {
      const event = this.#eventOf()
      const judged = this.#ledger.judge(event)
      return judged instanceof Promise
        ? judged.then(judgement => this.#judged(judgement, event, context, observes))
        : this.#judged(judged, event, context, observes)
    })
  }

  #judged(
    judgement: Judgement,
    event: LedgerEvent,
    context: C,
    observes: boolean,
  ): MaybePromise<Decision | undefined> {
    // A refusal is remembered, and counts nothing.
    if (!judgement.accepted) return this.#refusal(judgement, event, context)
    context.onTakeBack(judgement.takeBack)
    const action = this.#actionOf(judgement, event, context, observes)
    if (!judgement.isOverCap) return action
    return whenReady(action, () => this.#refusal(judgement, event, context))
  }

  #refusal(
    { standings, isOverCap }: Preview,
    event: LedgerEvent,
    context: C,
  ): MaybePromise<Decision | undefined> {
    this.#standings = standings
    const place = isOverCap ? this.#capped : standings.findIndex(({ accepted }) => !accepted)
    const claim = this.claims[place]
    const standing = standings[place]
    if (!claim) return undefined
    const { by, source } = claim
    if (standing && !isOverCap) by.note(standing, claim, context)
    const action =
      isOverCap || !standing
        ? by.overCap(event, context)
        : by.react(standing, claim, event, context)
    return whenReady(action, text =>
      text === undefined ? undefined : { action: text, by: source.by },
    )
  }

  /** The first action of these limits; each of them is told where it stands, and the closest to its end notes it. */
  #actionOf(
    { standings }: Preview,
    event: LedgerEvent,
    context: C,
    observes: boolean,
  ): MaybePromise<Decision | undefined> {
    this.#standings = standings
    let found: MaybePromise<Decision | undefined>
    let closest = 0
    let most = -1
    for (let i = 0; i < standings.length; i++) {
      const claim = this.claims[i]
      const standing = standings[i]
      if (!claim || !standing) continue
      const share = claim.by.share(standing)
      if (share > most) {
        most = share
        closest = i
      }
      const action = claim.by.react(standing, claim, event, context)
      if (action === undefined) continue
      const { by } = claim.source
      found = whenReady(found, first =>
        whenReady(
          action,
          text => first ?? (mayAct(text, observes) ? { action: text, by } : undefined),
        ),
      )
    }
    const claim = this.claims[closest]
    const standing = standings[closest]
    if (claim && standing) claim.by.note(standing, claim, context)
    return found
  }

  /** What the first limit's operator has chosen happens if the counts cannot be reached. */
  #guarded(
    context: C,
    work: () => MaybePromise<Decision | undefined>,
  ): MaybePromise<Decision | undefined> {
    try {
      const result = work()
      return result instanceof Promise
        ? result.catch(error => this.#failed(error, context))
        : result
    } catch (error) {
      return this.#failed(error, context)
    }
  }

  #failed(error: unknown, context: C): Decision | undefined {
    const source = this.claims[0]?.source
    // The mail passes uncounted, or is held back.
    this.claims.length = 0
    this.#event = undefined
    this.#standings = undefined
    const action = source?.failed(error, context)
    return source && action !== undefined ? { action, by: source.by } : undefined
  }

  #eventOf(): LedgerEvent {
    this.#event ??= this.#events.of(
      this.#request,
      this.#stage,
      this.claims,
      this.#mostRecipients,
      this.#now,
    )
    return this.#event
  }
}

/** Mail that was accepted once is accepted, also if its limit was lowered since. */
function mayAct(text: Outcome, observes: boolean): text is string {
  return text !== undefined && (observes || !refusesMail(text))
}
