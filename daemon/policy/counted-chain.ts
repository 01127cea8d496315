/** Counting what a virtual host's chain lets through, once it is done. */

import { whenReady } from '../system/maybe-promise.ts'
import type { Chain, ChainContext } from './chain-context.ts'
import type { MaybePromise } from './plugin.ts'
import { type Decision, isObjection, refusesMail } from './verdict.ts'

export interface CountingOptions {
  /** Note objections, and count all the same. */
  readonly observe: boolean
  readonly elapsed: () => number
}

/** The chain of a virtual host, whose mail is counted if it lets it through. */
export function countingWhatPasses(run: Chain, { observe, elapsed }: CountingOptions): Chain {
  /** In observe mode a limit's refusal is an objection. */
  function concluded(limit: Decision | undefined, context: ChainContext): Decision | undefined {
    if (!limit || !observe || !isObjection(limit.action)) return limit
    context.object(limit)
    return undefined
  }

  function counted(
    decision: Decision | undefined,
    context: ChainContext,
  ): MaybePromise<Decision | undefined> {
    const { counting } = context
    if (!counting || context.isTakenBack) return decision
    if (decision && refusesMail(decision.action)) {
      tell(counting, decision, context, context.endedAt)
      return decision
    }
    const judged = counting.judge(context, observe)
    return whenReady(judged, limit => {
      tell(counting, limit, context, elapsed())
      return concluded(limit, context) ?? decision
    })
  }

  return (request, context, began) => {
    const ended = run(request, context, began)
    return ended instanceof Promise
      ? ended.then(decision => counted(decision, context))
      : counted(ended, context)
  }
}

/** Notes what has become of each limit. Judging them all has taken until `ended`, milliseconds of `elapsed`. */
function tell(
  counting: NonNullable<ChainContext['counting']>,
  decision: Decision | undefined,
  context: ChainContext,
  ended: number,
): void {
  const { claims } = counting
  const decider = decision && claims.find(({ source }) => source.by === decision.by)
  let since = context.endedAt
  for (let place = 0; place < claims.length; place++) {
    const claim = claims[place]
    if (!claim) continue
    const { link } = claim.source
    if (counting.hasAnswered(link)) continue
    const saw = context.isTraced ? counting.sawBy(place) : undefined
    link.tally.milliseconds += ended - since
    if (claim === decider) context.ran(link, decision?.action, since, ended, saw)
    else {
      if (decision) context.skipped('nothing is counted: the mail is refused')
      context.ran(link, undefined, since, ended, saw)
    }
    since = ended
  }
}
