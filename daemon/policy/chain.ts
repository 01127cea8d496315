/**
 * Runs the plugins of a virtual host in the order of the file; the first action ends the chain.
 *
 * A failing plugin is logged, counted, and then what the operator chose happens: `on_error =
 * continue` at the plugin, else the file's `on_failure`. Plugins never decide that themselves.
 * Where a failure lets mail pass, a plugin that takes all the time of a request is one that fails,
 * and those behind it are asked all the same: a stranger's slow DNS must not switch off a limit.
 * Nothing here waits unless a plugin does: a chain of synchronous plugins is a plain loop.
 */

import { describeError, LookupError } from './errors.ts'
import type { Check, Context, MaybePromise, Outcome } from './plugin.ts'
import type { PolicyRequest } from './request.ts'
import { defer } from './verdict.ts'

export type OnFailure = 'dunno' | 'defer' | 'close'

/** Runs, failures and time of one plugin since start. */
export interface Tally {
  runs: number
  failures: number
  milliseconds: number
  lastFailure: string
}

export interface Link {
  readonly name: string
  readonly module: string
  readonly check: Check
  /** Puts the plugin's slow questions early; its answers are asked for again later. */
  readonly ahead?: ((request: PolicyRequest, context: Context) => void) | undefined
  readonly onError: 'fail' | 'continue'
  readonly tally: Tally
}

export interface ChainOptions {
  readonly onFailure: OnFailure
  readonly elapsed: () => number
  /** Called once per failure, loud. `stack` is given for what looks like a bug of ours. */
  report(plugin: string, message: string, stack: string | undefined): void
}

export function newTally(): Tally {
  return { runs: 0, failures: 0, milliseconds: 0, lastFailure: '' }
}

/** A plugin's failure that the file wants to end the request without an answer. */
export class RequestFailure extends Error {
  override readonly name = 'RequestFailure'
}

/** Which plugin decided: the outermost one that an action came through. */
export interface Decision {
  readonly action: string
  readonly by: string
}

/**
 * A chain as one check: what a virtual host runs, and what a plugin's nested blocks are. It begins
 * at `began` (`elapsed`), or else now.
 */
export function makeChain(
  links: readonly Link[],
  options: ChainOptions,
): (
  request: PolicyRequest,
  context: Context,
  began?: number,
) => MaybePromise<Decision | undefined> {
  function failed(link: Link, error: unknown): Outcome {
    link.tally.failures++
    const message = describeError(error)
    link.tally.lastFailure = message
    const isBug = !(error instanceof LookupError) && !(error instanceof RequestFailure)
    options.report(link.name, message, isBug && error instanceof Error ? error.stack : undefined)
    if (link.onError === 'continue' || options.onFailure === 'dunno') return undefined
    if (options.onFailure === 'defer')
      return defer('the mail could not be checked, try again later')
    throw new RequestFailure(`plugin ${link.name} failed: ${message}`)
  }

  function runFrom(
    first: number,
    request: PolicyRequest,
    context: Context,
    began: number,
    waitsForFirst = true,
  ): MaybePromise<Decision | undefined> {
    // One reading of the clock ends a plugin and begins the next.
    let since = began
    for (let i = first; i < links.length; i++) {
      const link = links[i]
      if (!link) break
      const started = since
      let outcome: MaybePromise<Outcome>
      try {
        outcome = link.check(request, context)
      } catch (error) {
        outcome = failed(link, error)
      }
      if (outcome instanceof Promise) {
        if (waitsForFirst) askAhead(i + 1, request, context)
        const inTime = options.onFailure === 'dunno' ? untilAborted(outcome, context) : outcome
        return inTime
          .catch(error => failed(link, error))
          .then(action => {
            const now = settle(link, started, context)
            // The request has been answered by now: nothing more is asked on its behalf.
            if (context.signal.aborted && options.onFailure !== 'dunno') return undefined
            return action === undefined
              ? runFrom(i + 1, request, context, now, false)
              : { action, by: link.name }
          })
      }
      since = settle(link, started, context)
      if (outcome !== undefined) return { action: outcome, by: link.name }
    }
    return undefined
  }

  /** A failure here is found again, and reported, when the plugin itself runs. */
  function askAhead(from: number, request: PolicyRequest, context: Context): void {
    for (let i = from; i < links.length; i++) {
      try {
        links[i]?.ahead?.(request, context)
      } catch {}
    }
  }

  /** Returns the time it is. */
  function settle(link: Link, started: number, context: Context): number {
    const now = options.elapsed()
    link.tally.runs++
    link.tally.milliseconds += now - started
    context.ran(link.name, started, now)
    return now
  }

  return (request, context, began = options.elapsed()) => runFrom(0, request, context, began)
}

/**
 * Rejects when the request's time is over. Not at once: what is inside of this work hears of it first,
 * and may still come to a decision.
 */
function untilAborted<T>(work: Promise<T>, { signal }: Context): Promise<T> {
  return new Promise((resolve, reject) => {
    const isLate = (): void =>
      void setImmediate(() => reject(new LookupError('not within the time of the request')))
    if (signal.aborted) isLate()
    else signal.addEventListener('abort', isLate, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', isLate))
  })
}
