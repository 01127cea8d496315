/**
 * What the daemon logs, and how loud. Errors and warnings are always written; the rest by the `debug`
 * level: 1 a line per verdict (a sink of its own: log/logger.ts), 2 start, stop, reload and listeners,
 * 3 connections, 4 requests, plugins' notes and timings.
 *
 * Fields are data: a value is quoted where the format needs it and can never start a new line.
 */

export type Fields = Readonly<Record<string, string | number | boolean | undefined>>

export interface Log {
  /** 0 to 4. */
  readonly debug: number
  error(message: string, fields?: Fields): void
  warning(message: string, fields?: Fields): void
  notice(message: string, fields?: Fields): void
  connection(message: string, fields?: Fields): void
  trace(message: string, fields?: Fields): void
}
