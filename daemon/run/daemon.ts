/**
 * The daemon as a process: it starts, reloads and stops.
 *
 * Start and reload are the same path (`#apply`): the configuration is read and everything it needs is
 * prepared step by step, and each step can be taken back. Only when nothing can fail any more is it put
 * in force, with the next request, for open connections as well. So a reload that fails at any step
 * leaves everything as it was. At a stop every request that has arrived is answered first.
 */

import { isOn } from '../alerts/slot.ts'
import { dnsMilliseconds } from '../config/globals.ts'
import type { Control } from '../control/control.ts'
import type { DaemonStatus } from '../control/protocol.ts'
import { type ControlServer, serveControl } from '../control/server.ts'
import { type Destination, DROPPED_LINES, openDestination } from '../log/destination.ts'
import { endpointKey, formatEndpoint } from '../net/endpoint.ts'
import type { Log } from '../policy/ports/log.ts'
import type { Counter, MeterDeclaration, Meters } from '../policy/ports/meters.ts'
import { describeNotice, formatProblem, type Notice } from '../policy/problem.ts'
import { type Cancel, type Clock, systemClock } from '../system/clock.ts'
import { describeError } from '../system/errors.ts'
import { PortTaken } from '../wire/listeners.ts'
import { alertRulesOf, alertSettingsOf } from './alerts.ts'
import { controlOf } from './commands/control.ts'
import { statusOf } from './commands/status.ts'
import type { DaemonOptions, Step } from './daemon-options.ts'
import { Generation } from './generation.ts'
import { startHousekeeping } from './housekeeping.ts'
import { LogSwitch, type OpenedLog } from './log-switch.ts'
import { openMeters } from './meters.ts'
import { makeParts, type Parts } from './parts.ts'
import { type PidFile, pidFileFor } from './pid-file.ts'
import { forgetClaim, recordClaim } from './port-claim.ts'
import { measureDelay } from './process-meters.ts'
import { type Undo, UndoStack } from './undo.ts'
import { webSettingsOf } from './web-settings.ts'

type Phase = 'starting' | 'running' | 'reloading' | 'stopping'

const STDERR = 2

const RELOADS: MeterDeclaration = {
  name: 'reloads',
  unit: 'reloads',
  help: 'How often the configuration was read again, and put in force or refused.',
}

export class Daemon {
  readonly #options: DaemonOptions
  readonly #parts: Parts
  readonly #started = Promise.withResolvers<void>()
  #phase: Phase = 'starting'
  /** In force; undefined until the first one is. */
  #generation: Generation | undefined
  #retired: Generation[] = []
  #pidFile: PidFile | undefined
  #controlServer: ControlServer | undefined
  #housekeeping: ReturnType<typeof startHousekeeping> | undefined
  #cancelDelay: Cancel | undefined
  /** Logged once it is known to which log. */
  #notices: Notice[] = []
  /** Reloads, one after the other: each ends with the configuration as it is then. */
  #lastReload: Promise<unknown> = this.#started.promise.catch(() => undefined)

  readonly #reloads: { readonly ok: Counter; readonly refused: Counter }

  /** What the daemon can be told to do or report, over its control sockets or in this process. */
  readonly control: Control

  /** Resolves when the daemon answers; rejects with nothing left open. */
  static async start(options: DaemonOptions): Promise<Daemon> {
    const { clock = systemClock, stderr = STDERR, debug, priorities } = options
    const meters = openMeters()
    const destination = openDestination(
      stderr,
      count => `dropped ${count} log lines because the reader could not keep up\n`,
      { dropped: meters.counter(DROPPED_LINES) },
    )
    const log = await LogSwitch.open({ destination, stderr, now: clock.now, debug, priorities })
    const daemon = new Daemon(options, clock, destination, log, meters)
    await daemon.#start()
    return daemon
  }

  private constructor(
    options: DaemonOptions,
    clock: Clock,
    to: Destination,
    log: LogSwitch,
    meters: Meters,
  ) {
    this.#options = options
    this.#parts = makeParts(options, clock, to, log, meters, {
      inForce: () => this.#inForce,
      note: message => this.#note({ severity: 'warning', message }),
      status: () => this.status(),
    })
    this.#reloads = {
      ok: meters.counter(RELOADS, { result: 'ok' }),
      refused: meters.counter(RELOADS, { result: 'refused' }),
    }
    this.control = controlOf({
      started: this.#started.promise,
      parts: this.#parts,
      inForce: () => this.#inForce,
      status: () => this.status(),
      reload: () => this.reload(),
    })
  }

  async #start(): Promise<void> {
    const undo = new UndoStack()
    // Those of the host are for the daemon of the host's configuration.
    if (this.#options.control) this.#parts.measures.open(this.#parts.clock.now())
    undo.push(() => this.#parts.destination.flush())
    undo.push(() => this.#parts.dns.close())
    undo.push(() => this.#parts.server.stop(0))
    try {
      // Before the configuration is read: a command that changes it from now on finds this daemon, and waits.
      undo.push(await this.#openControl())
      const { assembly } = await this.#apply()
      // The original's word for it; start scripts wait for this line.
      const at = assembly.endpoints.map(formatEndpoint).join(',')
      this.#log.notice('Parent ready for children.', { at })
    } catch (error) {
      this.#started.reject(error)
      await undo.unwind(failure => this.#reportUndo(failure))
      throw error
    }
    this.#housekeeping = startHousekeeping({
      slot: this.#parts.slot,
      measures: this.#parts.measures,
      clock: this.#parts.clock,
      log: () => this.#log,
      timezone: () => this.#inForce.globals.timezone || undefined,
    })
    this.#cancelDelay = measureDelay(this.#parts.meters, this.#parts.clock)
    this.#phase = 'running'
    this.#started.resolve()
    this.#options.supervisor.ready(this.#summary)
  }

  /** Resolves to the warnings of the new configuration; rejects if the old one stays in force. */
  reload(): Promise<readonly string[]> {
    const next = this.#lastReload.then(() => this.#reload())
    this.#lastReload = next.catch(() => undefined)
    return next
  }

  async #reload(): Promise<readonly string[]> {
    if (this.#phase !== 'running') throw new Error('the daemon is stopping')
    const { supervisor } = this.#options
    this.#phase = 'reloading'
    supervisor.reloading()
    try {
      const { assembly } = await this.#apply()
      const at = assembly.endpoints.map(formatEndpoint).join(',')
      this.#log.notice('reloaded', { at })
      this.#reloads.ok.value++
      return assembly.problems.map(formatProblem)
    } catch (error) {
      const why = describeError(error)
      this.#reloads.refused.value++
      this.#log.error(`reload refused, the old configuration stays in force: ${why}`)
      throw error
    } finally {
      this.#endReload()
    }
  }

  #endReload(): void {
    if (this.#phase !== 'reloading') return
    this.#phase = 'running'
    this.#options.supervisor.ready(this.#summary)
  }

  /**
   * Puts the configuration, as it is now, in force. Rejects if that is not possible, with every step
   * taken back that had been taken.
   */
  async #apply(): Promise<Generation> {
    const undo = new UndoStack()
    try {
      const next = await Generation.prepare(await this.#options.source(), {
        paths: this.#options.paths,
        clock: this.#parts.clock,
        ledger: this.#parts.slot.ledger,
        measures: this.#parts.measures,
        dns: this.#parts.dns,
        countries: this.#parts.countries,
        log: () => this.#log,
      })
      undo.push(() => next.close())
      await this.#reached('configuration')

      const log = await this.#parts.log.prepare(next.globals)
      undo.push(() => this.#parts.log.discard(log))
      await this.#reached('log file')

      undo.push(this.#openLedger(next))
      await this.#reached('ledger')

      undo.push(await this.#openHistory(next))
      undo.push(await this.#openAlerts(next))

      this.#notices.push(...(await next.startPlugins()))
      next.answerWith(this.#parts.conversation.answerOf(next, log.log))
      await this.#reached('plugins')

      undo.push(await this.#listen(next))
      await this.#reached('listeners')

      // Last: where there is a process id, a start script expects a daemon that answers.
      const pidFile = pidFileFor(next.globals.pid_file, this.#pidFile)
      if (pidFile !== this.#pidFile) undo.push(pidFile?.release)
      await this.#reached('process id file')

      this.#putInForce(next, log, pidFile)
      return next
    } catch (error) {
      await undo.unwind(failure => this.#reportUndo(failure))
      throw error
    } finally {
      for (const notice of this.#notices.splice(0)) this.#write(notice)
    }
  }

  async #reached(step: Step): Promise<void> {
    await this.#options.reached?.(step)
    if (this.#phase === 'stopping') throw new Error('the daemon is stopping')
  }

  /** Opened with the first configuration that uses it, and open over reloads. */
  #openLedger({ globals, assembly }: Generation): Undo {
    const slot = this.#parts.slot
    if (slot.isOpen) {
      const { durability } = this.#inForce.globals
      slot.setDurability(globals.durability)
      return () => slot.setDurability(durability)
    }
    if (assembly.loaded.ledger) {
      slot.open(this.#options.paths.ledger, globals.durability, this.#parts.clock.now())
      const { problem } = slot
      if (problem !== undefined) this.#notices.push({ severity: 'error', message: problem })
    }
    return () => slot.close()
  }

  /** Opened with the first configuration that wants it; closed only when one without it is in force. */
  async #openHistory({ globals }: Generation): Promise<Undo | undefined> {
    const { historySlot: history } = this.#parts
    const { history_days: days } = globals
    const before = history.status().days
    if (days === 0) return undefined
    await history.open(days)
    return before === 0 ? () => history.close() : () => history.open(before)
  }

  /** As the history. Alerts of other configurations would get into the way of those of the host's. */
  async #openAlerts(next: Generation): Promise<Undo | undefined> {
    const { alerts } = this.#parts
    const old = this.#generation
    const isWanted = this.#options.control && isOn(alertSettingsOf(next))
    if (!isWanted) return undefined
    await alerts.open(alertRulesOf(next), alertSettingsOf(next))
    if (!old || !isOn(alertSettingsOf(old))) return () => alerts.close()
    return () => alerts.open(alertRulesOf(old), alertSettingsOf(old))
  }

  /** New connections wait from now on until a configuration is in force. */
  async #listen({ assembly }: Generation): Promise<Undo> {
    const { supervisor, paths } = this.#options
    const { server } = this.#parts
    const old = this.#generation
    server.hold()
    try {
      await server.listen(assembly.endpoints)
    } catch (error) {
      if (old) server.release()
      const isRemembered = !old && supervisor.isPresent && error instanceof PortTaken
      if (isRemembered) recordClaim(paths.state, error.endpoint)
      throw error
    }
    // It may be about the port of another configuration.
    if (!old && supervisor.isPresent) forgetClaim(paths.state)
    return async () => {
      if (old) server.release()
      await server.listen(old?.assembly.endpoints ?? [])
    }
  }

  /** Cannot fail: there is no way back from here. */
  #putInForce(next: Generation, log: OpenedLog, pidFile: PidFile | undefined): void {
    const old = this.#generation
    this.#generation = next
    this.#parts.log.use(log)
    this.#parts.dns.setDeadline(dnsMilliseconds(next.globals))
    this.#parts.measures.foldWith(next.assembly.loaded.defaultDomain)
    this.#parts.conversation.putInForce(next)
    this.#parts.mailLog.use(next.assembly.loaded.ledger ? next.globals.maillog : 'none')
    if (next.globals.history_days === 0) void this.#parts.historySlot.close()
    if (!isOn(alertSettingsOf(next))) void this.#parts.alerts.close()
    this.#useWeb(next)
    this.#notices.push(...next.notices)
    this.#parts.server.release()
    if (this.#pidFile !== pidFile) this.#release(this.#pidFile)
    this.#pidFile = pidFile
    if (!old) return
    for (const endpoint of old.assembly.endpoints)
      this.#parts.retiredKeys.add(endpointKey(endpoint))
    this.#retired = [...this.#retired.filter(({ isClosed }) => !isClosed), old]
    old.retire()
  }

  /** It knows the daemon by its control socket, which only the daemon of the host's configuration has. */
  #useWeb({ globals }: Generation): void {
    const settings = webSettingsOf(globals)
    if (this.#options.control) {
      this.#parts.web.use(settings)
      return
    }
    if (settings === undefined) return
    const message = 'no web console: web_port is for the daemon of the default configuration'
    this.#notices.push({ severity: 'warning', message })
  }

  #release(pidFile: PidFile | undefined): void {
    try {
      pidFile?.release()
    } catch (error) {
      const message = `cannot remove the process id file: ${describeError(error)}`
      this.#note({ severity: 'warning', message })
    }
  }

  async #openControl(): Promise<Undo | undefined> {
    if (!this.#options.control) return undefined
    try {
      const server = await serveControl(this.#options.paths.control, this.control)
      this.#controlServer = server
      return () => server.close()
    } catch (error) {
      // Mail is processed without it; mtpolicyctl says that it finds no daemon.
      this.#log.error(`no control socket: ${describeError(error)}`)
      return undefined
    }
  }

  status(): Promise<DaemonStatus> {
    return statusOf(this.#parts, this.#inForce, this.#options.paths.ledger)
  }

  reopenLog(): void {
    this.#parts.log.reopen()
  }

  /** Resolves when everything is answered and closed, at the latest after `milliseconds`. */
  async stop(milliseconds: number): Promise<void> {
    const until = this.#parts.clock.elapsed() + milliseconds
    this.#phase = 'stopping'
    this.#log.notice('stopping')
    this.#options.supervisor.stopping()
    this.#controlServer?.close()
    const { clock, server, slot, historySlot, alerts, dns, destination, mailLog, web } = this.#parts
    const steps: readonly Undo[] = [
      // A reload under way is taken back at its next step.
      () => this.#within(milliseconds, this.#lastReload),
      () => web.close(),
      () => server.stop(Math.max(0, until - clock.elapsed())),
      () => mailLog.stop(),
      () => alerts.close(),
      () => this.#cancelDelay?.(),
      () => this.#housekeeping?.stop(),
      // What was answered is durable already; the next start would read it from there.
      () => slot.close(),
      () => historySlot.close(),
      () => {
        for (const generation of [...this.#retired, this.#inForce]) generation.close()
      },
      () => dns.close(),
      () => this.#release(this.#pidFile),
      () => destination.flush(),
    ]
    for (const step of steps) {
      try {
        await step()
      } catch (error) {
        // The others are to be closed nevertheless.
        this.#log.error(`not everything was closed properly: ${describeError(error)}`)
      }
    }
    this.#parts.log.close()
  }

  async #within(milliseconds: number, work: Promise<unknown>): Promise<void> {
    const ended = new AbortController()
    const tooLong = this.#parts.clock.sleep(milliseconds, ended.signal).catch(() => undefined)
    await Promise.race([work, tooLong])
    ended.abort()
  }

  /** The log in use now: ask for it each time. */
  get #log(): Log {
    return this.#parts.log.log
  }

  get #inForce(): Generation {
    if (!this.#generation) throw new Error('no configuration is in force yet')
    return this.#generation
  }

  get #summary(): string {
    return `answering at ${this.#parts.server.endpoints.map(formatEndpoint).join(', ')}`
  }

  #note(notice: Notice): void {
    if (this.#phase === 'starting' || this.#phase === 'reloading') this.#notices.push(notice)
    else this.#write(notice)
  }

  #write(notice: Notice): void {
    const write = notice.severity === 'warning' ? this.#log.warning : this.#log.error
    write(describeNotice(notice))
  }

  #reportUndo(failure: unknown): void {
    const message = `could not restore everything: ${describeError(failure)}`
    this.#write({ severity: 'error', message })
  }
}
