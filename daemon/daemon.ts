/**
 * The life of the daemon: start, reload, stop.
 *
 * A reload that fails changes nothing: the old configuration answers on. One that succeeds takes
 * effect with the next request, also on connections that are open. At a stop every request that
 * has arrived is answered first.
 */

import { closeSync } from 'node:fs'
import type { Server } from 'node:net'
import { join } from 'node:path'
import { type Assembly, assemble } from './assemble.ts'
import type { Source } from './configuration.ts'
import type { DaemonStatus } from './control/protocol.ts'
import { serveControl } from './control/server.ts'
import { startHousekeeping } from './housekeeping.ts'
import { ledgerSlot } from './ledger-slot.ts'
import { openDestination, openLogFile } from './log/destination.ts'
import { openLog } from './log/logger.ts'
import { countryPool } from './lookup/country-pool.ts'
import { openResolver } from './lookup/resolver.ts'
import type { Paths } from './paths.ts'
import { claimPidFile } from './pid-file.ts'
import { type Answer, makeAnswer, newAnswerTally } from './policy/answer.ts'
import { systemClock } from './policy/clock.ts'
import { describeError } from './policy/errors.ts'
import type { Log } from './policy/log.ts'
import { formatProblem, type Problem } from './policy/problem.ts'
import type { Connection, PolicyRequest } from './policy/request.ts'
import { seldom } from './policy/seldom.ts'
import { dunno, type Verdict } from './policy/verdict.ts'
import type { Supervisor } from './supervisor.ts'
import { version } from './version.ts'
import type { Conversation } from './wire/connection.ts'
import { endpointKey, formatEndpoint } from './wire/endpoint.ts'
import { makeServer, type PolicyServer } from './wire/server.ts'
import { makeTurn } from './wire/turn.ts'

export interface DaemonOptions {
  readonly paths: Paths
  /** Where the configuration is; asked again at every reload. */
  source(): Source | Promise<Source>
  /** Overrides the file's log_level. */
  readonly debug: number | undefined
  /** Lines begin with their priority: they go to the journal or to syslog. */
  readonly priorities: boolean
  /** Serve the control socket? Only the daemon of the default configuration does. */
  readonly control: boolean
  readonly supervisor: Supervisor
}

export interface Daemon {
  reload(): Promise<readonly string[]>
  status(): DaemonStatus
  reopenLog(): void
  /** Ends when all is answered, at the latest after `milliseconds`. */
  stop(milliseconds: number): Promise<void>
}

/** The file cannot be used: all that is wrong with it, in order. */
export class UnusableConfiguration extends Error {
  override readonly name = 'UnusableConfiguration'
  readonly problems: readonly Problem[]
  constructor(problems: readonly Problem[]) {
    super(problems.map(formatProblem).join('\n'))
    this.problems = problems
  }
}

interface Prepared {
  readonly assembly: Assembly
  readonly origin: Source['origin']
  readonly lines: readonly string[]
}

interface LogFile {
  readonly path: string
  readonly fd: number
}

const STDERR = 2
/** A write to a file that is no longer the log has ended by then. */
const CLOSE_LOG_MILLISECONDS = 1000
/** Answers that leave together. */
const TOGETHER = 16

export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const clock = systemClock
  const destination = openDestination(STDERR, count => `${count} log lines were lost here\n`)
  const slot = ledgerSlot(join(options.paths.run, 'ledger'))
  const tally = newAnswerTally()
  const since = new Date(clock.now())
  const retiredKeys = new Set<string>()
  /** Undefined: standard error. */
  let logFile: LogFile | undefined
  let log: Log = await openLog(
    destination,
    { debug: options.debug ?? 1, format: 'logfmt', priorities: options.priorities },
    clock.now,
  )
  const countries = countryPool((event, fields) => {
    const say = event === 'geoip_loaded' ? log.notice : log.error
    const texts = Object.entries(fields).map(([name, value]) => [name, String(value)])
    say(event.replaceAll('_', ' '), Object.fromEntries(texts))
  })
  const dns = openResolver({ env: process.env, clock, log: message => log.warning(message) })
  let current: Prepared & { readonly answer: Answer }
  const started = Promise.withResolvers<void>()
  /** One after the other: each ends with the file as it is then. */
  let lastReload: Promise<unknown> = started.promise
  // Before the configuration is read: who changes it from now on finds us, and waits.
  const control = options.control ? await openControl() : undefined

  async function prepare(): Promise<Prepared> {
    const { file, text, origin, lines } = await options.source()
    const assembly = await assemble({
      file,
      text,
      paths: options.paths,
      clock,
      ledger: slot.ledger,
      dns,
      countries,
      log: () => log,
    })
    if (assembly.isUsable) return { assembly, origin, lines }
    assembly.close()
    throw new UnusableConfiguration(assembly.problems)
  }

  /** The file the log will go to: opened, if it is another than now. */
  function logFileOf({ loaded }: Assembly): LogFile | undefined {
    const { log_file } = loaded.globals
    if (log_file === undefined || log_file === 'Sys::Syslog') return undefined
    return isLogFile(log_file) ? logFile : { path: log_file, fd: openLogFile(log_file) }
  }

  function isLogFile(path: string | undefined): boolean {
    return path === logFile?.path
  }

  function logOf({ loaded }: Assembly, file: LogFile | undefined): Promise<Log> {
    const { log_level, log_format } = loaded.globals
    const debug = Math.max(0, Math.min(4, options.debug ?? log_level))
    const priorities = options.priorities && file === undefined
    return openLog(destination, { debug, format: log_format, priorities }, clock.now)
  }

  function logTo(file: LogFile | undefined): void {
    const before = logFile
    logFile = file
    destination.redirect(file?.fd ?? STDERR)
    if (before) setTimeout(() => closeSync(before.fd), CLOSE_LOG_MILLISECONDS).unref()
  }

  function openStore(assembly: Assembly): void {
    if (!assembly.loaded.usesLedger || slot.isOpen) return
    slot.open(options.paths.ledger, assembly.loaded.globals.durability, clock.now())
    if (slot.problem !== undefined) log.error(slot.problem)
  }

  /** What plugins do before their first request, such as making tables. A failure is theirs alone. */
  async function startPlugins({ loaded }: Assembly): Promise<void> {
    for (const { path, run } of loaded.starts) {
      try {
        await run()
      } catch (error) {
        log.error(`plugin ${path} failed at start: ${describeError(error)}`)
      }
    }
  }

  function answerOf({ loaded }: Assembly, to: Log): Answer {
    const { globals } = loaded
    // What the DNS is late with must leave time for an answer without it.
    const { request_timeout, dns_timeout } = globals
    const most = request_timeout === 0 ? dns_timeout : request_timeout / 2
    dns.setDeadline(Math.min(dns_timeout, most) * 1000)
    return makeAnswer({
      hosts: loaded.hosts,
      retiredKeys,
      byPolicyContext: globals.vhost_by_policy_context,
      onFailure: globals.on_failure,
      refusesUnknownActions: globals.unknown_action === 'fail',
      deadlineMilliseconds: globals.request_timeout * 1000,
      observe: globals.mode === 'observe',
      sessions: loaded.sessions,
      log: to,
      clock,
      tally,
    })
  }

  function sayProblems({ problems }: Assembly, lines: readonly string[]): void {
    for (const line of lines) log.warning(line)
    for (const problem of problems) {
      const say = problem.severity === 'warning' ? log.warning : log.error
      say(formatProblem(problem).replace(/: (?:warning|error): /, ': '))
    }
  }

  const turn = makeTurn(
    () => {
      try {
        const settled = slot.ledger.settle()
        if (settled instanceof Promise) return settled.then(() => true, unsettled)
        return true
      } catch (error) {
        return unsettled(error)
      }
    },
    // To wait for the disk costs the same for one answer and for a thousand.
    () =>
      current.assembly.loaded.globals.durability === 'full' ? Number.POSITIVE_INFINITY : TOGETHER,
  )

  const sayUnsettled = seldom(clock, message => log.error(message))
  function unsettled(error: unknown): false {
    tally.failures++
    sayUnsettled(`counts are kept in memory until they can be written: ${describeError(error)}`)
    return false
  }

  const conversation = {
    // Set by `putInForce`. Plain values: each answer asks for them, and a getter is a call.
    keepaliveSeconds: 0,
    mostRequests: 0,
    answer: (request: PolicyRequest) => current.answer(request),
    unsettled(verdict: Verdict, request: PolicyRequest): Verdict {
      const { on_failure, mode } = current.assembly.loaded.globals
      if (on_failure === 'dunno' || mode === 'observe') return verdict
      request.takeBack()
      return on_failure === 'defer'
        ? { action: 'defer the mail could not be counted, try again later', by: '' }
        : { action: dunno, by: '', silent: true }
    },
    turn,
    closed(connection: Connection, reason: string) {
      log.connection('closed', { connection: connection.id, reason })
      slot.ledger.disconnect(connection.id)
      // What its unfinished message leaves behind is made durable as well.
      turn(() => undefined)
    },
  } satisfies Conversation

  function putInForce(next: Prepared): void {
    current = { ...next, answer: answerOf(next.assembly, log) }
    const { keepalive_timeout, max_keepalive, durability } = next.assembly.loaded.globals
    slot.setDurability(durability)
    conversation.keepaliveSeconds = keepalive_timeout
    conversation.mostRequests = max_keepalive
  }

  const server: PolicyServer = makeServer({
    conversation,
    admits: address => current.assembly.admits(address),
    opened: (connection, peer) =>
      log.connection('connected', { connection: connection.id, peer, to: connection.endpoint }),
    refused: peer => log.warning('a client that is not in "clients" was sent away', { peer }),
    inherited: options.supervisor.sockets,
    note: message => log.warning(message),
  })

  const first = await prepare()
  const firstFile = logFileOf(first.assembly)
  log = await logOf(first.assembly, firstFile)
  if (firstFile) logTo(firstFile)
  openStore(first.assembly)
  await startPlugins(first.assembly)
  putInForce(first)
  sayProblems(first.assembly, first.lines)
  await server.listen(first.assembly.endpoints)
  const { pid_file } = first.assembly.loaded.globals
  const releasePidFile = pid_file === undefined ? undefined : claimPidFile(pid_file)
  // The original's word for it; start scripts wait for this line.
  log.notice('Parent ready for children.', {
    at: first.assembly.endpoints.map(formatEndpoint).join(','),
  })

  const housekeeping = startHousekeeping({
    slot,
    clock,
    log: () => log,
    timezone: () => current.assembly.loaded.globals.timezone || undefined,
  })
  started.resolve()
  options.supervisor.ready(summary())

  function summary(): string {
    return `answering at ${server.endpoints.map(formatEndpoint).join(', ')}`
  }

  async function openControl(): Promise<Server | undefined> {
    try {
      return await serveControl(options.paths.control, {
        status: () => started.promise.then(status),
        reload,
      })
    } catch (error) {
      // Mail goes on without it; mtpolicyctl will say that it finds no daemon.
      log.error(`no control socket: ${describeError(error)}`)
      return undefined
    }
  }

  function reload(): Promise<readonly string[]> {
    const next = lastReload.then(reloadNow)
    lastReload = next.catch(() => undefined)
    return next
  }

  async function reloadNow(): Promise<readonly string[]> {
    options.supervisor.reloading()
    let next: Prepared | undefined
    let file: LogFile | undefined
    try {
      next = await prepare()
      file = logFileOf(next.assembly)
      const nextLog = await logOf(next.assembly, file)
      openStore(next.assembly)
      await startPlugins(next.assembly)
      await server.listen(next.assembly.endpoints)
      const old = current.assembly
      for (const endpoint of old.endpoints) retiredKeys.add(endpointKey(endpoint))
      log = nextLog
      // By its path: the same file may have been opened again meanwhile.
      if (!isLogFile(file?.path)) logTo(file)
      putInForce(next)
      // Requests under way may still use what the old configuration opened.
      setTimeout(() => old.close(), 10_000).unref()
      sayProblems(next.assembly, next.lines)
      log.notice('reloaded', { at: next.assembly.endpoints.map(formatEndpoint).join(',') })
      return next.assembly.problems.map(formatProblem)
    } catch (error) {
      next?.assembly.close()
      if (file && !isLogFile(file.path)) closeSync(file.fd)
      log.error(`reload refused, the old configuration stays: ${describeError(error)}`)
      throw error
    } finally {
      options.supervisor.ready(summary())
    }
  }

  function status(): DaemonStatus {
    const { assembly, origin } = current
    const { countries, loaded } = assembly
    return {
      version,
      pid: process.pid,
      since: since.toISOString(),
      configuration: assembly.file,
      origin,
      mode: loaded.globals.mode,
      endpoints: server.endpoints.map(formatEndpoint),
      connections: server.connections,
      ...tally,
      store: {
        path: options.paths.ledger,
        state: slot.problem ?? (slot.isOpen ? 'ok' : loaded.usesLedger ? 'failed' : 'not used'),
        durability: loaded.globals.durability,
      },
      geoip: {
        path: countries.path,
        builtAt: countries.builtAt?.toISOString(),
        ageDays: countries.ageDays(new Date(clock.now())),
        state: countries.state.status,
        problem: countries.state.problem,
      },
      dns: dns.status(),
      recipientOnlyServices: slot.ledger.recipientOnlyServices(),
      plugins: loaded.links.map(({ host, path, link }) => ({
        host,
        plugin: path,
        module: link.module,
        runs: link.tally.runs,
        failures: link.tally.failures,
        lastFailure: link.tally.lastFailure,
        milliseconds: Math.round(link.tally.milliseconds * 1000) / 1000,
      })),
      warnings: assembly.problems.map(formatProblem),
      droppedLogLines: destination.dropped,
    }
  }

  return {
    reload,
    status,
    reopenLog() {
      if (!logFile) return
      const { path } = logFile
      try {
        logTo({ path, fd: openLogFile(path) })
      } catch (error) {
        log.error(`the log goes on where it is: ${describeError(error)}`)
      }
    },
    async stop(milliseconds) {
      log.notice('stopping')
      options.supervisor.stopping()
      control?.close()
      await server.stop(milliseconds)
      await housekeeping.stop()
      try {
        slot.close()
      } catch (error) {
        // What was answered is durable already; the next start reads it from there.
        log.error(`the ledger could not be closed in order: ${describeError(error)}`)
      }
      current.assembly.close()
      dns.close()
      releasePidFile?.()
      await destination.flush()
    },
  }
}
