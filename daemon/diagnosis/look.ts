/** Looks at everything that a diagnosis needs: Postfix, the daemon where Postfix queries it, and the host. Changes nothing. */

import type { Paths } from '../assembly/paths.ts'
import type { DaemonStatus } from '../control/protocol.ts'
import type { Problem } from '../policy/problem.ts'
import { inspectAll } from '../postfix/inspect.ts'
import type { RegistrationOptions } from '../postfix/registration/registration.ts'
import { type Listener, listenersOf } from '../postfix/smtpd/endpoint.ts'
import type { Seen } from './diagnosis.ts'
import { hostFacts } from './host-facts.ts'
import { type OwnedProbe, probe, reachable, withOwner } from './probe.ts'

export interface LookOptions {
  /** What the running daemon reports, or why none does. */
  readonly status: DaemonStatus | string
  readonly postfix: RegistrationOptions
  readonly paths: Paths
  /** Milliseconds since 1970. */
  readonly now: number
  /** What is wrong with the configuration on disk. */
  readonly problems: readonly Problem[]
}

export async function lookAtHost(options: LookOptions): Promise<Seen> {
  const { status, postfix: where, paths, now, problems } = options
  const { inspections, findings: postfix } = await inspectAll(where)
  const probes = await probesOf(where.listeners ?? listenersOf(where.endpoint))
  return { status, probes, host: hostFacts(paths, now, problems), inspections, postfix }
}

/** Everywhere the daemon should listen: Postfix queries one of these. */
async function probesOf(listeners: readonly Listener[]): Promise<OwnedProbe[]> {
  const probes = await Promise.all(listeners.map(listener => probe(reachable(listener))))
  return probes.map(withOwner)
}
