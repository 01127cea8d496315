/**
 * Where the daemon listens and what Postfix queries are one setting: the daemon does not move to an
 * address that a Postfix which queries it cannot reach, such as one of a family that it does not use
 * (inet_protocols).
 */

import { readFileSync } from 'node:fs'
import type { Problem } from '../policy/problem.ts'
import { inspectAll } from '../postfix/inspect.ts'
import type { RegistrationOptions } from '../postfix/registration/registration.ts'
import { type Listener, protocolsOf, readListener, serverFor } from '../postfix/smtpd/endpoint.ts'

/** Why services that query the daemon now could not query it where a staged file has it listen. */
export async function checkReach(
  staged: string,
  target: string,
  options: RegistrationOptions,
): Promise<readonly Problem[]> {
  if (!/(?:\.socket\.d\/listen|\/mtpolicyd)\.conf$/.test(target)) return []
  const listeners = listenersIn(staged)
  // A name is resolved by the daemon itself, at its start.
  if (listeners.length === 0) return []
  const { inspections } = await inspectAll(options)
  const querying = inspections.flatMap(({ protections }) =>
    protections.filter(({ queries, missed }) => queries.length + missed.length > 0),
  )
  const whys = querying.flatMap(({ service, instance }) => {
    const server = serverFor(listeners, protocolsOf(service.parameters.value('inet_protocols')))
    return 'why' in server ? [`${instance.configDir}: ${server.why}`] : []
  })
  const place = { file: staged, line: 1, column: 1 }
  return [...new Set(whys)].map(message => ({ severity: 'error', place, message }))
}

/** `ListenStream=[::1]:12345` of systemd's, or `port = "127.0.0.1:12345,[::1]:12345"` of our own. */
function listenersIn(file: string): Listener[] {
  const lines = readFileSync(file, 'utf8').split('\n')
  return lines.flatMap(line => {
    const streams = /^(?:ListenStream=|port = ")([^@"]+)"?$/.exec(line)?.[1] ?? ''
    return streams.split(',').flatMap(stream => readListener(stream) ?? [])
  })
}
