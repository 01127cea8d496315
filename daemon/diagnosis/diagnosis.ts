/** Everything that is wrong with a server, from all that was seen of it. Pure. */

import { daemonFindings } from '../control/daemon-findings.ts'
import type { DaemonStatus } from '../control/protocol.ts'
import { type Finding, sortFindings } from '../policy/finding.ts'
import type { Inspection } from '../postfix/findings/findings.ts'
import { answerFindings } from './answer-findings.ts'
import type { HostFacts } from './host-facts.ts'
import { hostFindings } from './host-findings.ts'
import { absentFinding } from './postfix-findings.ts'
import type { OwnedProbe } from './probe.ts'

export interface Seen {
  /** What the running daemon reports, or why none does. */
  readonly status: DaemonStatus | string
  /** Where Postfix queries, or would query, the daemon. */
  readonly probes: readonly OwnedProbe[]
  readonly host: HostFacts
  readonly inspections: readonly Inspection[]
  /** What is wrong with Postfix's own configuration. */
  readonly postfix: readonly Finding[]
}

/** Worst first. */
export function diagnose({ status, probes, host, inspections, postfix }: Seen): Finding[] {
  const running = typeof status === 'object' ? status : undefined
  const down = typeof status === 'string' ? status : undefined
  return sortFindings([
    ...inspections.flatMap(({ configDir, absent }) =>
      absent === undefined ? [] : [absentFinding(configDir, absent)],
    ),
    ...answerFindings(probes, down),
    ...(running ? daemonFindings(running) : []),
    ...hostFindings(host, running),
    ...postfix,
  ])
}
