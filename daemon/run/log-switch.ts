/**
 * Which file the log goes to. A configuration's file is opened before anything changes, so that one that
 * cannot be opened refuses the configuration; the descriptor of the former file is closed as soon as the
 * last write to it has ended.
 */

import { closeSync } from 'node:fs'
import { type Destination, openLogFile } from '../log/destination.ts'
import { type LogFormat, type OpenLog, openLog } from '../log/logger.ts'
import { describeError } from '../system/errors.ts'

export interface LogSettings {
  readonly log_file: string | undefined
  readonly log_level: number
  readonly log_format: LogFormat
}

export interface LogSwitchOptions {
  readonly destination: Destination
  /** The descriptor that lines go to without a file. */
  readonly stderr: number
  /** Wall clock, milliseconds. */
  readonly now: () => number
  /** Overrides `log_level`. */
  readonly debug: number | undefined
  /** On standard error, lines begin with their priority. */
  readonly priorities: boolean
}

/** A log that can be used, and is not in use yet. */
export interface OpenedLog {
  readonly log: OpenLog
  /** Undefined: standard error. */
  readonly path: string | undefined
  /** Opened for this configuration; undefined where the log stays where it is. */
  readonly fd: number | undefined
}

interface LogFile {
  readonly path: string
  readonly fd: number
}

/** Net::Server's word for syslog. There it is standard error that leads to syslog (main.ts). */
const SYSLOG = 'Sys::Syslog'
/** Before a configuration has been read. */
const AT_FIRST: LogSettings = { log_file: undefined, log_level: 1, log_format: 'logfmt' }

export class LogSwitch {
  readonly #options: LogSwitchOptions
  #log: OpenLog
  /** Undefined: standard error. */
  #file: LogFile | undefined

  static async open(options: LogSwitchOptions): Promise<LogSwitch> {
    return new LogSwitch(options, await makeLog(options, AT_FIRST, undefined))
  }

  private constructor(options: LogSwitchOptions, log: OpenLog) {
    this.#options = options
    this.#log = log
  }

  /** The log in use; ask again rather than keep it. */
  get log(): OpenLog {
    return this.#log
  }

  /** Opens the log that a configuration asks for. Throws if its file cannot be opened. */
  async prepare(settings: LogSettings): Promise<OpenedLog> {
    const path = settings.log_file === SYSLOG ? undefined : settings.log_file
    const log = await makeLog(this.#options, settings, path)
    const isInUse = path === this.#file?.path
    return { log, path, fd: path === undefined || isInUse ? undefined : openLogFile(path) }
  }

  /** Closes what `prepare` opened, unless it is in use. */
  discard({ fd }: OpenedLog): void {
    if (fd !== undefined && fd !== this.#file?.fd) closeSync(fd)
  }

  /** Cannot fail: it comes after everything that can. */
  use({ log, path, fd }: OpenedLog): void {
    this.#log = log
    // By its path: the same file may have been opened again in the meantime (SIGUSR1).
    if (path === this.#file?.path) return
    this.#writeTo(path === undefined || fd === undefined ? undefined : { path, fd })
  }

  /** Opens the file again, e.g. after logrotate has moved it. */
  reopen(): void {
    if (this.#file === undefined) return
    const { path } = this.#file
    try {
      this.#writeTo({ path, fd: openLogFile(path) })
    } catch (error) {
      this.#log.error(`cannot reopen the log file, keeping the old one: ${describeError(error)}`)
    }
  }

  /** For the end of the process, after everything has been written. */
  close(): void {
    this.#writeTo(undefined)
  }

  #writeTo(file: LogFile | undefined): void {
    const before = this.#file
    this.#file = file
    const written = this.#options.destination.redirect(file?.fd ?? this.#options.stderr)
    if (before) void written.then(() => closeSync(before.fd))
  }
}

function makeLog(
  { destination, now, debug, priorities }: LogSwitchOptions,
  { log_level, log_format }: LogSettings,
  path: string | undefined,
): Promise<OpenLog> {
  return openLog(
    destination,
    {
      debug: Math.max(0, Math.min(4, debug ?? log_level)),
      format: log_format,
      priorities: priorities && path === undefined,
    },
    now,
  )
}
