/** Explains how the configuration in force would answer a request (`mtpolicyctl explain`). */

import type { ExplainArguments } from '../../control/control.ts'
import type { Explanation } from '../../control/protocol.ts'
import { endpointKey } from '../../net/endpoint.ts'
import { roundToMicroseconds, type Step } from '../../policy/hearing.ts'
import { PolicyRequest } from '../../policy/request.ts'
import { oneLine } from '../../policy/verdict.ts'
import type { Generation } from '../generation.ts'

/** No connection of Postfix's has this number. */
const NO_CONNECTION = 0

/** Rejects if the daemon does not listen on the port. */
export async function explain(
  generation: Generation,
  { attributes, port }: ExplainArguments,
): Promise<Explanation> {
  const keys = [...new Set(generation.assembly.endpoints.map(endpointKey))]
  const endpoint = port ?? keys[0] ?? ''
  if (!keys.includes(endpoint)) {
    throw new Error(`the daemon does not listen on ${oneLine(endpoint)}, but on ${keys.join(', ')}`)
  }
  const connection = { id: NO_CONNECTION, endpoint }
  const request = new PolicyRequest(new Map(Object.entries(attributes)), connection)
  const { verdict, steps, objections } = await generation.rehearse(request)
  return {
    action: verdict.silent ? 'close' : verdict.action,
    by: verdict.by,
    steps: steps.map(({ plugin, module, saw, outcome, text, milliseconds }) => ({
      plugin,
      module,
      saw,
      outcome: inWords(outcome, text),
      ms: roundToMicroseconds(milliseconds),
    })),
    objections: objections.map(({ by, action }) => ({ by, action: oneLine(action) })),
  }
}

export function inWords(outcome: Step['outcome'], text: string): string {
  return outcome === 'nothing' ? outcome : `${outcome}: ${oneLine(text)}`
}
