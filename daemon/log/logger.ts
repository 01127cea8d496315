/**
 * The daemon's log: logfmt lines for people, or JSON (pino) by choice.
 *
 * Under systemd, and where lines go to syslog(3), a logfmt line begins with its priority, `<6>`
 * (sd-daemon(3)); on a terminal or in a file it begins with the time. JSON carries both inside.
 */

import type { Logger } from 'pino'
import type { Fields, Log } from '../policy/ports/log.ts'
import { oneLine } from '../policy/verdict.ts'
import { type VerdictRecord, type VerdictSink, verdictFields } from '../policy/verdict-record.ts'
import type { Destination } from './destination.ts'
import { addVerdict, logfmtFields } from './logfmt.ts'

export type LogFormat = 'logfmt' | 'json'

/** syslog(3) priorities. */
const PRIORITY = {
  error: 3,
  warning: 4,
  notice: 5,
  verdict: 6,
  event: 6,
  connection: 6,
  trace: 7,
} as const
type Kind = keyof typeof PRIORITY

/** The `debug` level from which a kind is written. */
const THRESHOLD: Readonly<Record<Kind, number>> = {
  error: 0,
  warning: 0,
  verdict: 1,
  event: 1,
  notice: 2,
  connection: 3,
  trace: 4,
}

export interface LogOptions {
  readonly debug: number
  readonly format: LogFormat
  /** Begin lines with `<N>` instead of the time. */
  readonly priorities: boolean
}

/** A log, the sink that writes a line for each verdict, and lines that are as important as those. */
export interface OpenLog extends Log {
  readonly verdict: VerdictSink
  event(message: string, fields?: Fields): void
}

/** @param now wall clock, milliseconds. */
export async function openLog(
  destination: Destination,
  options: LogOptions,
  now: () => number,
): Promise<OpenLog> {
  const writer =
    options.format === 'json'
      ? jsonWriter(await openPino(destination))
      : logfmtWriter(destination, options.priorities, now)

  const at =
    (kind: Kind) =>
    (message: string, fields?: Fields): void => {
      if (options.debug >= THRESHOLD[kind]) writer.line(kind, message, fields ?? {})
    }
  return {
    debug: options.debug,
    error: at('error'),
    warning: at('warning'),
    notice: at('notice'),
    event: at('event'),
    connection: at('connection'),
    trace: at('trace'),
    verdict(record) {
      if (options.debug >= THRESHOLD.verdict) writer.verdict(record)
    },
  }
}

interface Writer {
  line(kind: Kind, message: string, fields: Fields): void
  verdict(record: VerdictRecord): void
}

function logfmtWriter(destination: Destination, priorities: boolean, now: () => number): Writer {
  let second = Number.NaN
  let stamp = ''
  function prefix(kind: Kind): string {
    if (priorities) return `<${PRIORITY[kind]}>`
    const at = now()
    const current = Math.floor(at / 1000)
    if (current !== second) {
      second = current
      stamp = `${new Date(at).toISOString().slice(0, 19)}Z `
    }
    return stamp
  }
  return {
    line(kind, message, fields) {
      const word = kind === 'error' || kind === 'warning' ? `${kind}: ` : ''
      const pairs = logfmtFields(fields)
      // It may contain text from a server or a client.
      const text = `${word}${oneLine(message)}${pairs === '' ? '' : ' '}${pairs}`
      destination.write(`${prefix(kind)}${text}\n`)
    },
    verdict(record) {
      destination.compose(line => {
        line.text(prefix('verdict'))
        addVerdict(line, record)
        line.text('\n')
      })
    },
  }
}

async function openPino(destination: Destination): Promise<Logger> {
  const { pino } = await import('pino')
  return pino(
    { level: 'trace', base: null, formatters: { level: label => ({ level: label }) } },
    destination,
  )
}

function jsonWriter(logger: Logger): Writer {
  return {
    line(kind, message, fields) {
      switch (kind) {
        case 'error':
          logger.error(fields, message)
          break
        case 'warning':
          logger.warn(fields, message)
          break
        case 'trace':
          logger.debug(fields, message)
          break
        default:
          logger.info({ event: kind, ...fields }, message)
      }
    },
    verdict(record) {
      logger.info({ event: 'verdict', ...verdictFields(record) })
    },
  }
}
