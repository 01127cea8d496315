/**
 * What would refuse a mail next, once it passes the rule that has refused it: only the first rule answers,
 * but a thief uses up several limits at once, and is blocked besides.
 */

import type { AccountReport, LimitStanding, WhyAnswer } from '../control/protocol.ts'
import type { Refusal } from '../policy/ports/history.ts'
import { refusesMail } from '../policy/verdict.ts'
import type { Values } from '../registry/layers.ts'
import { variableOfBlock } from '../registry/rendered-blocks.ts'
import { amountOf, BLOCK, blockOf, isTooManyOfMessage, type Ruling, rulingOf } from './remedies.ts'

export interface FurtherRuling extends Ruling {
  /** Amounts of a limit, in its unit; undefined of a block. */
  readonly used?: number
  readonly limit?: number
}

/** As the account stands now, which may be long after the refusal. */
export function furtherRulings(
  refusal: Refusal,
  { origin }: Pick<WhyAnswer, 'origin'>,
  { limits, measures }: Pick<AccountReport, 'limits' | 'measures'>,
  values: Values,
): FurtherRuling[] {
  const isBlocked = refusal.by !== BLOCK && measures.some(({ kind }) => kind === 'block')
  const areHeld = origin === 'variables' && values.get('mtpolicyd/excess') === 'hold'
  return [
    ...(isBlocked ? [blockOf(refusal)] : []),
    ...limits.flatMap(one => (areHeld ? [] : (ofLimit(refusal, origin, one, values) ?? []))),
  ]
}

/** Undefined: such mail passes it. */
function ofLimit(
  refusal: Refusal,
  origin: WhyAnswer['origin'],
  { name, per, unit, window, used, limit, next }: LimitStanding,
  values: Values,
): FurtherRuling | undefined {
  // That a message has too many recipients is another rule of the same plugin.
  const isItself = name === refusal.by && !isTooManyOfMessage(refusal.action)
  if (isItself || used === null || typeof limit !== 'number') return undefined
  if (next !== undefined && !refusesMail(next)) return undefined
  if (used + amountOf(refusal, { unit }) <= limit) return undefined
  const place = origin === 'variables' ? (variableOfBlock(name) ?? '') : ''
  const decider = { module: 'SendingLimit', place, per, unit, window }
  const one: Refusal = {
    ...refusal,
    by: name,
    why: 'decided',
    action: next ?? 'reject',
    facts: { used, limit },
  }
  return { ...rulingOf(one, { decider, origin }, values), used, limit }
}
