/** Which refusals a key names, and which plugin of the configuration in force decided the latest (`mtpolicyctl why`). */

import type { Decider, WhyAnswer } from '../../control/protocol.ts'
import type { History, Refusal, RefusalKey } from '../../policy/ports/history.ts'
import type { Section } from '../../policy/setting.ts'
import type { Generation } from '../generation.ts'
import { writtenAt } from '../refusal-steps.ts'
import { neededHistory } from './kept-history.ts'

/** Rejects if no history is kept, or if it cannot be read. */
export async function why(
  generation: Generation,
  history: History | undefined,
  key: RefusalKey,
): Promise<WhyAnswer> {
  const kept = neededHistory(history)
  const [refusal, ...others] = await kept.refusals(key)
  return {
    refusal,
    others: others.map(({ code, at, action, attributes }) => {
      return { code, at, recipient: attributes.recipient ?? '', action }
    }),
    days: kept.status().days,
    origin: generation.origin,
    decider: refusal && deciderOf(refusal, generation),
  }
}

function deciderOf({ host, by }: Refusal, generation: Generation): Decider | undefined {
  const { links } = generation.assembly.loaded
  const found = links.find(one => one.path === `${host}/${by}`)
  if (!found) return undefined
  const { link, block } = found
  return {
    module: link.module,
    place: writtenAt(link.place, link.name, generation),
    per: textOf(block, 'per'),
    window: textOf(block, 'window'),
    unit: textOf(block, 'unit'),
  }
}

function textOf({ options }: Section, name: string): string | undefined {
  return options.find(option => option.name === name)?.value
}
