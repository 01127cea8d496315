/**
 * `mtpolicyctl takeover`: once, what Debian's mtpolicyd leaves behind. The package calls it at its first
 * installation; without such remains it does nothing.
 *
 * Says what was copied, what is in use now, and how to change that. Where the copy is used,
 * Postfix goes on asking as the administrator had it: one more item would count every mail twice.
 * Where it is not, the variables take the port that Postfix may be asking already.
 */

import { describeError } from '../policy/errors.ts'
import { formatProblem } from '../policy/problem.ts'
import { isLoopback } from '../registry/variables.ts'
import { type Endpoint, formatEndpoint } from '../wire/endpoint.ts'
import type { Takeover } from './takeover.ts'

export interface TakeoverIo {
  readonly out: (text: string) => void
  readonly err: (text: string) => void
  takeOver(): Promise<Takeover>
  /** Sets host variables; false if that was refused, which has been said then. */
  set(assignments: readonly string[]): Promise<boolean>
}

const OWN_PORT = 12345

export async function takeoverCommand(
  argv: readonly string[],
  io: TakeoverIo,
): Promise<0 | 1 | 64> {
  if (argv.some(argument => argument !== '--json')) {
    io.err('usage: mtpolicyctl takeover [--json]\n')
    return 64
  }
  let takeover: Takeover
  try {
    takeover = await io.takeOver()
  } catch (error) {
    io.err(
      `mtpolicyctl takeover: ${describeError(error)}\n` +
        'Nothing of mtpolicyd is used; when this is mended: mtpolicyctl takeover\n',
    )
    return 1
  }
  const assignments = assignmentsFor(takeover)
  const isSet = assignments.length === 0 || (await io.set(assignments))
  if (argv.includes('--json')) io.out(`${JSON.stringify({ ...takeover, assignments }, null, 2)}\n`)
  else io.out(text(takeover))
  return isSet ? 0 : 1
}

/** The first loopback port becomes ours, so that what Postfix asks now is answered on. */
function assignmentsFor({ outcome, endpoints }: Takeover): string[] {
  if (outcome === 'none' || outcome === 'before' || outcome === 'own') return []
  const port = ownPort(endpoints)
  return [
    ...(port === undefined || port === OWN_PORT ? [] : [`mtpolicyd/port=${port}`]),
    ...(outcome === 'used' ? ['mtpolicyd/postfix/register=false'] : []),
  ]
}

function ownPort(endpoints: readonly Endpoint[]): number | undefined {
  for (const endpoint of endpoints) {
    if (endpoint.kind === 'tcp' && isLoopback(endpoint.host)) return endpoint.port
  }
  return undefined
}

function text(takeover: Takeover): string {
  const { outcome, from, kept, files, problems } = takeover
  if (outcome === 'none') return `${from}: there is nothing to take over\n`
  if (outcome === 'before') return `${kept}: taken over already\n`
  const lines = files.map(({ from: old, to, counters }) => {
    const what = counters === undefined ? '' : `, ${counters} counters`
    return `copied: ${old} to ${to}${what}`
  })
  switch (outcome) {
    case 'used':
      lines.push(
        `used: ${from}, by a copy of it. The host variables rest.`,
        'Postfix asks as before; nothing is added to main.cf (mtpolicyd/postfix/register=false).',
        'To go over to the host variables:',
        '    mtpolicyctl commit --force-template',
        '    mtpolicyctl unset mtpolicyd/postfix/register mtpolicyd/port',
        '    mtpolicyctl postfix register',
      )
      break
    case 'unchanged':
      lines.push(`not used: ${from} is as its package brought it; the host variables rule.`)
      break
    case 'own':
      lines.push('not used: there is a hand-written configuration already, which stays.')
      break
    case 'unusable':
      lines.push(
        ...problems.filter(({ severity }) => severity !== 'warning').map(formatProblem),
        `not used: this version cannot do all of ${from}; the host variables rule.`,
      )
      break
  }
  if (outcome !== 'used') {
    lines.push(
      ...unanswered(takeover),
      `A copy lies in ${kept}; to see what keeps it from being used:`,
    )
    lines.push(`    mtpolicyctl check ${kept}`)
  }
  return `${lines.join('\n')}\n`
}

/** Postfix would wait for an answer there, and defer the mail. */
function unanswered({ endpoints }: Takeover): string[] {
  const port = ownPort(endpoints)
  return endpoints
    .filter(one => one.kind === 'unix' || !isLoopback(one.host) || one.port !== port)
    .map(
      endpoint =>
        `NO LONGER ANSWERED: ${formatEndpoint(endpoint)}. Take items that ask it out of Postfix's main.cf.`,
    )
}
