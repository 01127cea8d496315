/**
 * What the daemon says, and how loud. Errors and warnings are always written; the rest by the
 * `debug` level: 1 a line per verdict, 2 start, stop, reload and listeners, 3 connections,
 * 4 requests, plugins' notes and timings.
 *
 * Fields are data: a value is quoted where the format needs it and can never start a new line.
 */

export type Fields = Readonly<Record<string, string | number | boolean | undefined>>

/** The line of a verdict, in this order. What is undefined is left out. */
export type VerdictFields = {
  readonly instance: string
  readonly user: string
  readonly client: string
  readonly country: string | undefined
  readonly rcpt: number
  readonly size: number
  readonly verdict: string
  /** What it would have been if only observing were not asked for. */
  readonly observed: string | undefined
  readonly by: string
  readonly used: number | undefined
  readonly limit: number | 'unlimited' | undefined
  readonly ms: number
}

export interface Log {
  /** 0 to 4. */
  readonly debug: number
  error(message: string, fields?: Fields): void
  warning(message: string, fields?: Fields): void
  verdict(fields: VerdictFields): void
  notice(message: string, fields?: Fields): void
  connection(message: string, fields?: Fields): void
  trace(message: string, fields?: Fields): void
}
