/**
 * Runs the plugins of a virtual host in the order of the file; the first action ends the chain.
 *
 * A failing plugin is logged, counted, and then what the operator chose happens: `on_error =
 * continue` at the plugin, else the file's `on_failure`. Plugins never decide that themselves.
 * Where a failure lets mail pass, a plugin that takes all the time of a request is one that fails,
 * and the plugins after it still run: a stranger's slow DNS must not switch off a limit.
 *
 * In observe mode an objection is noted and the chain continues: whatever the configuration, every
 * plugin that would otherwise have run is run, and the mail passes.
 * Nothing here waits unless a plugin does: a chain of synchronous plugins is a plain loop.
 */

import { describeError, LookupError } from '../system/errors.ts'
import type { Chain, ChainContext } from './chain-context.ts'
import { countingWhatPasses } from './counted-chain.ts'
import type { Source } from './counting.ts'
import type { Link } from './link.ts'
import { failureAnswer, type OnFailure } from './on-failure.ts'
import type { Context, MaybePromise, Outcome } from './plugin.ts'
import { NotRehearsed } from './rehearsal.ts'
import type { PolicyRequest } from './request.ts'
import { type Decision, isKnownAction, isObjection } from './verdict.ts'

export interface ChainOptions {
  readonly onFailure: OnFailure
  /** Note objections and continue. */
  readonly observe: boolean
  /** Run plugins with an effect outside? Not in observe mode, not in a rehearsal. */
  readonly runsEffects: boolean
  /** Is an action that Postfix does not know a failure of the plugin? */
  readonly refusesUnknownActions: boolean
  readonly elapsed: () => number
  /** Called once per failure, loud. `stack` is given for what looks like a bug of ours. */
  report(plugin: string, message: string, stack: string | undefined): void
  /** Called each time a plugin is left out of a rehearsal or an observation, and why. */
  skipped?: ((plugin: string, why: string) => void) | undefined
}

const ACTS_OUTSIDE = 'it acts on something outside the daemon'

/** A plugin's failure that the file wants to end the request without an answer. */
export class RequestFailure extends Error {
  override readonly name = 'RequestFailure'
}

/** Where nested blocks are. */
export interface Enclosure {
  /** The plugin of the virtual host around them. */
  readonly outermost: string
  /** Is their action kept, and not told to Postfix? Then it is not an objection (`Plugin.keepsAction`). */
  readonly keepsAction: boolean
}

/**
 * A chain as one check: what a virtual host runs, and what a plugin's nested blocks are.
 *
 * @param enclosure undefined for the virtual host's own chain.
 */
export function makeChain(
  links: readonly Link[],
  options: ChainOptions,
  enclosure?: Enclosure,
): Chain {
  const { onFailure, observe } = options
  const continues = observe || onFailure === 'dunno'
  const notesObjections = observe && !enclosure?.keepsAction
  const refusesUnknown = options.refusesUnknownActions && !enclosure?.keepsAction
  const outermost = enclosure?.outermost
  const sources = links.map(sourceOf)

  function sourceOf(link: Link): Source<ChainContext> | undefined {
    if (!link.isLimit) return undefined
    return {
      by: outermost ?? link.name,
      link,
      failed: (error, context) => checked(failed(link, error, options.elapsed(), context)),
    }
  }

  function failed(link: Link, error: unknown, started: number, context: ChainContext): Outcome {
    if (error instanceof NotRehearsed) {
      options.skipped?.(link.name, error.message)
      context.skipped(error.message)
      return undefined
    }
    link.tally.failures++
    const message = describeError(error)
    link.tally.lastFailure = message
    const isBug = !(error instanceof LookupError) && !(error instanceof RequestFailure)
    options.report(link.name, message, isBug && error instanceof Error ? error.stack : undefined)
    context.failed(message)
    if (link.onError === 'continue') return undefined
    const answer = failureAnswer(onFailure, 'plugin')
    if (answer.kind === 'pass') return undefined
    if (answer.kind === 'answer') return answer.action
    if (!observe) {
      settle(link, undefined, started, context)
      throw new RequestFailure(`plugin ${link.name} failed: ${message}`)
    }
    context.object({ by: outermost ?? link.name, action: 'close' })
    return undefined
  }

  /** Throws LookupError for an action that Postfix does not know, where the file says so. */
  function checked(outcome: Outcome): Outcome {
    if (outcome === undefined || !refusesUnknown || isKnownAction(outcome)) return outcome
    throw new LookupError(`returned "${outcome}", which is not a Postfix action`)
  }

  /** The decision that an action is, or undefined: the chain continues. */
  function decisionOf(link: Link, action: Outcome, context: ChainContext): Decision | undefined {
    if (action === undefined) return undefined
    if (!notesObjections || !isObjection(action)) return { action, by: link.name }
    context.object({ by: outermost ?? link.name, action })
    return undefined
  }

  function runFrom(
    first: number,
    request: PolicyRequest,
    context: ChainContext,
    began: number,
    waitsForFirst = true,
  ): MaybePromise<Decision | undefined> {
    // One reading of the clock ends a plugin and begins the next.
    let since = began
    for (let i = first; i < links.length; i++) {
      const link = links[i]
      if (!link) break
      if (link.hasEffects && !options.runsEffects) {
        options.skipped?.(link.name, ACTS_OUTSIDE)
        context.skipped(ACTS_OUTSIDE)
        context.ran(link, undefined, since, since)
        continue
      }
      if (link.isLimit) context.limit = sources[i]
      else if (context.counting?.hasUnweighed) {
        const refusal = context.counting.weigh(context)
        if (refusal instanceof Promise) {
          return refusal.then(
            one => one ?? runFrom(i, request, context, options.elapsed(), waitsForFirst),
          )
        }
        if (refusal) return refusal
      }
      const started = since
      let outcome: MaybePromise<Outcome>
      try {
        outcome = link.check(request, context)
        if (outcome !== undefined && !(outcome instanceof Promise)) outcome = checked(outcome)
      } catch (error) {
        outcome = failed(link, error, started, context)
      }
      if (outcome === undefined) {
        since = settle(link, outcome, started, context)
        continue
      }
      if (outcome instanceof Promise) {
        if (waitsForFirst) askAhead(i + 1, request, context)
        const inTime = continues ? untilAborted(outcome, context) : outcome
        return inTime
          .then(checked)
          .catch(error => failed(link, error, started, context))
          .then(action => {
            const now = settle(link, action, started, context)
            // The request has been answered: no further plugin runs on its behalf.
            if (context.signal.aborted && !continues) return undefined
            return decisionOf(link, action, context) ?? runFrom(i + 1, request, context, now, false)
          })
      }
      since = settle(link, outcome, started, context)
      const decision = decisionOf(link, outcome, context)
      if (decision) return decision
    }
    return undefined
  }

  /** A failure here is found again, and reported, when the plugin itself runs. */
  function askAhead(from: number, request: PolicyRequest, context: ChainContext): void {
    for (let i = from; i < links.length; i++) {
      try {
        links[i]?.ahead?.(request, context)
      } catch {}
    }
  }

  /** Returns the time it is. */
  function settle(link: Link, outcome: Outcome, started: number, context: ChainContext): number {
    if (link.isLimit && outcome === undefined) {
      // It is not done before it has been judged; that is where its time goes.
      link.tally.runs++
      return started
    }
    if (link.isLimit) context.counting?.answeredBy(link)
    const now = options.elapsed()
    link.tally.runs++
    link.tally.milliseconds += now - started
    context.ran(link, outcome, started, now)
    return now
  }

  const run: Chain = (request, context, began = options.elapsed()) =>
    runFrom(0, request, context, began)
  return enclosure ? run : countingWhatPasses(run, options)
}

/**
 * Rejects when the request's time is over. Not at once: what is inside of this work hears of it first,
 * and may still come to a decision.
 */
function untilAborted<T>(work: Promise<T>, { signal }: Context): Promise<T> {
  return new Promise((resolve, reject) => {
    const isLate = (): void => void setImmediate(() => reject(new LookupError('timed out')))
    if (signal.aborted) isLate()
    else signal.addEventListener('abort', isLate, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', isLate))
  })
}
