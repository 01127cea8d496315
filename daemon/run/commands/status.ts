/** What `mtpolicyctl status` and the console show of a running daemon, out of its parts. */

import type { DaemonStatus } from '../../control/protocol.ts'
import { formatEndpoint } from '../../net/endpoint.ts'
import { formatProblem } from '../../policy/problem.ts'
import { version } from '../../version.ts'
import type { Generation } from '../generation.ts'
import type { Parts } from '../parts.ts'

export async function statusOf(
  parts: Omit<Parts, 'log' | 'conversation'>,
  generation: Generation,
  ledgerPath: string,
): Promise<DaemonStatus> {
  const { assembly, globals, origin } = generation
  const { countries, loaded } = assembly
  const { slot } = parts
  return {
    version,
    pid: process.pid,
    since: parts.since.toISOString(),
    configuration: assembly.file,
    origin,
    mode: globals.mode,
    endpoints: parts.server.endpoints.map(formatEndpoint),
    connections: parts.server.connections,
    ...parts.answers.tally,
    store: {
      path: ledgerPath,
      state: slot.problem ?? (slot.isOpen ? 'ok' : loaded.ledger ? 'failed' : 'not used'),
      durability: globals.durability,
    },
    geoip: {
      path: countries.path,
      builtAt: countries.builtAt?.toISOString(),
      ageDays: countries.ageDays(new Date(parts.clock.now())),
      state: countries.state.status,
      problem: countries.state.problem,
    },
    dns: parts.dns.status(),
    recipientOnlyServices: await slot.ledger.recipientOnlyServices(),
    mailLog: parts.mailLog.status(),
    measures: {
      inForce: parts.measures.inForce(parts.clock.now()).length,
      problem: parts.measures.problem,
    },
    history: parts.historySlot.status(),
    alerts: parts.alerts.status(),
    nearLimits: parts.nearLimits.list(parts.clock.now()),
    web: parts.web.status(),
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
    meters: parts.meters.read(),
    droppedLogLines: parts.destination.dropped,
  }
}
