/** An explanation of an answer, for a terminal. */

import type { ExplainedStep, Explanation } from '../control/protocol.ts'
import { oneLine } from '../policy/verdict.ts'
import { wrap } from '../text/wrap.ts'

const COLUMNS = 79
const INDENT = 4

export function explanationText({ action, by, steps, objections }: Explanation): string {
  const told =
    action === 'close'
      ? 'Postfix would get no answer: the connection would be closed.'
      : `Postfix would be told: ${action}`
  const [objection] = objections
  const observed =
    objection === undefined
      ? []
      : [`In observe mode nothing is refused. Otherwise, by ${objection.by}: ${objection.action}`]
  return [
    ...lines(told),
    ...lines(by === '' ? 'No plugin has decided.' : `Decided by: ${by}`),
    ...observed.flatMap(text => lines(text)),
    'This was a rehearsal: nothing was counted, changed or sent.',
    '',
    ...steps.flatMap((step, at) => stepLines(step, at + 1, action)),
    ...(steps.length === 0 ? ['No plugin was run.'] : []),
    '',
  ].join('\n')
}

function stepLines(
  { plugin, module, saw, outcome, ms }: ExplainedStep,
  number: number,
  action: string,
): string[] {
  const facts = Object.entries(saw).map(([name, value]) => `${name} ${value}`)
  return [
    ...lines(`${`${number}.`.padEnd(INDENT - 1)} ${plugin} (${module}), ${ms} ms`),
    ...(facts.length === 0 ? [] : lines(`found: ${facts.join(', ')}`, INDENT)),
    ...lines(outcomeText(outcome, action), INDENT),
  ]
}

function outcomeText(outcome: string, action: string): string {
  if (outcome === 'nothing') return 'no objection'
  if (outcome === `action: ${action}`) return 'decides: this is the answer'
  return outcome.replace(/^action: /, 'answers: ')
}

/** Runs of spaces stay as they are; what comes from elsewhere must not control the terminal. */
function lines(text: string, indent = 0): string[] {
  return wrap(oneLine(text), COLUMNS - indent).map((line, at) =>
    ' '.repeat(at === 0 ? indent : Math.max(indent, INDENT)).concat(line),
  )
}
