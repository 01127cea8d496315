/**
 * What lives as long as the process, whichever configuration is in force: the log, the ledger, the
 * resolver, the GeoIP databases, the server.
 */

import { hostname } from 'node:os'
import { join } from 'node:path'
import { AlertSlot } from '../alerts/slot.ts'
import { Broadcast } from '../control/broadcast.ts'
import type { WatchedRequest, WatchedVerdict } from '../control/control.ts'
import { daemonFindings } from '../control/daemon-findings.ts'
import type { DaemonStatus } from '../control/protocol.ts'
import { HistorySlot } from '../history/slot.ts'
import { type LedgerSlot, ledgerSlot } from '../ledger/slot.ts'
import type { Destination } from '../log/destination.ts'
import { type CountryPool, countryPool } from '../lookup/country-pool.ts'
import { type OpenResolver, openResolver } from '../lookup/resolver.ts'
import { MeasureBook } from '../measures/book.ts'
import { AnswerMeters } from '../policy/answer-tally.ts'
import type { History } from '../policy/ports/history.ts'
import type { Meters } from '../policy/ports/meters.ts'
import { type VerdictRecord, verdictFields } from '../policy/verdict-record.ts'
import type { Clock } from '../system/clock.ts'
import { rateLimited } from '../system/rate-limited.ts'
import { makeServer, type PolicyServer } from '../wire/server.ts'
import { makeConversation, type RunningConversation } from './conversation.ts'
import type { DaemonOptions } from './daemon-options.ts'
import type { Generation } from './generation.ts'
import type { LogSwitch } from './log-switch.ts'
import { MailLog } from './mail-log.ts'
import { NearLimits } from './near-limits.ts'
import { measureParts } from './part-meters.ts'
import { refuseClaimed } from './port-claim.ts'
import { WebConsole } from './web-console.ts'

export interface Parts {
  readonly clock: Clock
  readonly since: Date
  readonly destination: Destination
  readonly log: LogSwitch
  readonly slot: LedgerSlot
  readonly historySlot: HistorySlot
  readonly alerts: AlertSlot
  readonly meters: Meters
  readonly answers: AnswerMeters
  readonly countries: CountryPool
  readonly dns: OpenResolver
  readonly conversation: RunningConversation
  readonly server: PolicyServer
  /** Keys of earlier configurations: connections that are still open there are served. */
  readonly retiredKeys: Set<string>
  readonly verdicts: Broadcast<WatchedVerdict>
  readonly requests: Broadcast<WatchedRequest>
  readonly mailLog: MailLog
  readonly nearLimits: NearLimits
  /** Undefined: none is kept. */
  readonly history: () => History | undefined
  readonly measures: MeasureBook
  /** The folder of the ledger and all other files that are kept. */
  readonly state: string
  readonly web: WebConsole
}

/** What the parts need to know of the configuration and the daemon. */
export interface Surroundings {
  inForce(): Generation
  /** A warning that may come while a configuration is being put in force. */
  note(message: string): void
  status(): Promise<DaemonStatus>
}

/** Opens and binds nothing yet. */
export function makeParts(
  { paths, supervisor, history: given }: DaemonOptions,
  clock: Clock,
  destination: Destination,
  log: LogSwitch,
  meters: Meters,
  { inForce, note, status }: Surroundings,
): Parts {
  const slot = ledgerSlot(join(paths.run, 'ledger'))
  const answers = new AnswerMeters(meters)
  const verdicts = new Broadcast<WatchedVerdict>()
  const requests = new Broadcast<WatchedRequest>()
  const watch = (record: VerdictRecord): void => {
    if (verdicts.isHeard) verdicts.publish(verdictFields(record))
    if (!requests.isHeard) return
    const attributes = Object.fromEntries(record.request.attributes)
    requests.publish({ attributes, verdict: verdictFields(record) })
  }
  const nearLimits = new NearLimits()
  const measures = new MeasureBook(paths.measures, () => log.log)
  const logFailure = rateLimited(clock, message => log.log.error(message))
  const historySlot = new HistorySlot({ path: paths.history, clock, failed: logFailure })
  const history = given ?? (() => historySlot.history)
  const alerts = new AlertSlot({
    path: paths.alerts,
    key: paths.alertKey,
    state: paths.state,
    etc: paths.etc,
    hostName: hostname(),
    clock,
    findings: async () => daemonFindings(await status()),
    blocks: () => measures.inForce(clock.now()).filter(one => one.kind === 'block'),
    requests: () => answers.tally.requests,
    log: message => log.log.warning(message),
  })
  const retiredKeys = new Set<string>()
  const conversation = makeConversation({
    clock,
    slot,
    meters: answers,
    measures,
    sinks: [watch, nearLimits.note, record => history()?.note(record), alerts.note],
    isOwn: alerts.isOwn,
    retiredKeys,
    log: () => log.log,
    historyOf: ({ globals }) => (globals.history_days > 0 ? history() : undefined),
  })
  const server = makeServer({
    clock,
    conversation,
    admits: address => inForce().assembly.admits(address),
    opened: ({ id, endpoint }, peer) =>
      log.log.connection('connected', { connection: id, peer, to: endpoint }),
    refused: peer =>
      log.log.warning('connection refused: address is not listed in "clients"', { peer }),
    inherited: supervisor.sockets,
    mayBind: endpoint => {
      if (supervisor.isPresent) refuseClaimed(paths.state, endpoint)
    },
    note,
  })
  const dns = openResolver({ env: process.env, clock, log: line => log.log.warning(line) })
  const parts: Parts = {
    clock,
    since: new Date(clock.now()),
    destination,
    log,
    slot,
    historySlot,
    alerts,
    meters,
    answers,
    countries: countryPool((event, fields) => {
      const write = event === 'geoip_loaded' ? log.log.notice : log.log.error
      const texts = Object.entries(fields).map(([name, value]) => [name, String(value)])
      write(event.replaceAll('_', ' '), Object.fromEntries(texts))
    }),
    dns,
    conversation,
    server,
    retiredKeys,
    verdicts,
    requests,
    nearLimits,
    history,
    measures,
    web: new WebConsole({ paths, clock, log: () => log.log }),
    state: paths.state,
    mailLog: new MailLog({ places: paths.mailLogs, clock, slot, log: () => log.log }),
  }
  measureParts(parts, inForce)
  return parts
}
