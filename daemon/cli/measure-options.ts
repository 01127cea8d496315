/** What the commands for single accounts have in common: options, and how a mistake in them is reported. */

import type { OrderArguments } from '../control/control.ts'
import { accountName } from '../policy/account.ts'
import { readUntil, UNTIL } from '../text/when.ts'
import { type ExitStatus, USAGE_ERROR } from './command.ts'
import { resultOf } from './daemon-client.ts'
import type { Host } from './host.ts'
import { jsonText } from './json-text.ts'
import { inForceText, lineOf, measureJson } from './measure-text.ts'
import { orderedBy } from './ordered-by.ts'
import { unknownAccountText } from './unknown-account.ts'

export const why = {
  type: 'string',
  argument: 'TEXT',
  doc: 'The reason, for the records and for other administrators; 500 characters at most.',
} as const

export const until = {
  type: 'string',
  argument: 'TIME',
  doc: 'When it ends by itself: 2026-12-01, 2026-12-01T12:00, +2h or +3d.',
} as const

/** A mistake in the words of a command. */
export class WrongWords extends Error {}

/** The account's name as it is counted. Throws WrongWords. */
export function readAccount(name = ''): string {
  const account = accountName(name, '')
  if (account.trim() === '') throw new WrongWords('expected the name of an account')
  return account
}

/** A time to come, ISO 8601. Throws WrongWords. */
export function untilOf(text: string | undefined, { clock }: Host): string | undefined {
  if (text === undefined) return undefined
  const at = readUntil(text, clock.now())
  if (at === undefined) throw new WrongWords(`--until ${text}: expected ${UNTIL}, in the future`)
  return new Date(at).toISOString()
}

/** Runs a command; a mistake in its words is a usage error. */
export async function withWords(
  host: Host,
  command: string,
  work: () => ExitStatus | Promise<ExitStatus>,
): Promise<ExitStatus> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof WrongWords)) throw error
    host.err(lineOf(`mtpolicyctl ${command}: ${error.message}`))
    host.err(`See mtpolicyctl ${command} --help.\n`)
    return USAGE_ERROR
  }
}

/** Orders a measure, and shows what is in force now. */
export async function order(
  host: Host,
  isJson: boolean,
  given: OrderArguments,
): Promise<ExitStatus> {
  const reply = await host.daemon.order({ ...given, by: orderedBy(host.env) })
  const { measure, replaced } = resultOf(reply)
  if (isJson) {
    host.out(jsonText({ measure: measureJson(measure), replaced: replaced.map(measureJson) }))
    return 0
  }
  host.out(lineOf(`${inForceText(measure)}.`))
  for (const one of replaced) host.out(lineOf(`It replaces: ${inForceText(one)}.`))
  host.out(lineOf(await unknownAccountText(host, measure.account)))
  return 0
}
