/**
 * A command of the administrator for each alert: as the daemon's user, inside its unit's sandbox, no shell.
 *
 * The alert is JSON on standard input, and in the environment as ALERT_KIND, ALERT_ACCOUNT, ... Not as
 * MTPOLICYD_*: those are host variables, which mtpolicyctl would take from there. Exit status 75 (EX_TEMPFAIL)
 * asks for another call later; any other one but 0 is logged, and that was it.
 */

import type { AlertLanguage } from '../alert.ts'
import { type Delivery, DONE, type Outcome } from '../delivery.ts'
import { type AlertJson, alertJson } from './alert-json.ts'
import { PLAIN_ENVIRONMENT, type ProgramEnd, runOn } from './program.ts'

const COMMAND_MILLISECONDS = 30_000
const AGAIN = 75

export interface CommandOptions {
  /** Absolute path. */
  readonly program: string
  readonly language: AlertLanguage
  readonly hostName: string
  log(line: string): void
}

export function commandDelivery({ program, language, hostName, log }: CommandOptions): Delivery {
  return {
    name: 'command',
    to: program,
    batches: 'one',
    wants: () => true,
    async deliver([alert], signal) {
      if (alert === undefined) return DONE
      const json = alertJson(alert, language, hostName)
      const end = await runOn(program, {
        argv: [],
        input: `${JSON.stringify(json)}\n`,
        env: { ...PLAIN_ENVIRONMENT, ...environmentOf(json) },
        milliseconds: COMMAND_MILLISECONDS,
        signal,
      })
      if (end.output !== '') log(`alert command ${program}: ${end.output}`)
      return signal.aborted ? { is: 'later', why: end.why } : outcomeOf(program, end)
    },
  }
}

function outcomeOf(program: string, { status, why }: ProgramEnd): Outcome {
  if (status === 0) return DONE
  if (status === AGAIN) return { is: 'later', why: `${program}: exit status ${AGAIN}` }
  if (status !== undefined) return { is: 'refused', why: `${program}: exit status ${status}` }
  // It could not be started: that may be repaired. It was killed: what it has begun is not begun again.
  const isMissing = /\bE(?:NOENT|ACCES|AGAIN|MFILE|NFILE|NOMEM|TXTBSY)\b/.test(why)
  return { is: isMissing ? 'later' : 'refused', why: `${program}: ${why}` }
}

/** `country` of the facts is ALERT_COUNTRY, unless the alert itself has such a member. */
function environmentOf(json: AlertJson): Record<string, string> {
  const { facts, ...own } = json
  const named = Object.entries({ ...facts, ...own }).map(([name, value]) => {
    const suffix = name.replaceAll(/[^A-Za-z0-9]/g, '_').toUpperCase()
    // A program's environment cannot contain NUL.
    return [`ALERT_${suffix}`, String(value).replaceAll('\0', '')] as const
  })
  return Object.fromEntries(named)
}
