/**
 * A port that was found in use by another program, remembered over reboots.
 *
 * A program that restarts leaves its port for a second, and at boot this daemon starts first. Under
 * systemd, which restarts the daemon again and again, it must not have taken the port when the program
 * comes back. So a start that finds its port in use records it in a file. While the file exists the socket
 * unit does not start (ConditionPathExists) and the daemon does not bind the port. debian/start-again
 * removes the file when no program has listened there for a minute; so does
 * `mtpolicyctl set mtpolicyd/port=...`.
 */

import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { formatEndpoint } from '../net/endpoint.ts'
import type { TcpEndpoint } from '../net/listeners.ts'
import { PortTaken } from '../wire/listeners.ts'

export const portTakenFile = (state: string): string => join(state, 'port-taken')

/** Throws if another program had the port a moment ago. */
export function refuseClaimed(state: string, endpoint: TcpEndpoint): void {
  let text: string
  try {
    text = readFileSync(portTakenFile(state), 'utf8')
  } catch {
    return
  }
  if (!text.trim().endsWith(`:${endpoint.port}`)) return
  throw new PortTaken(
    endpoint,
    'was in use by another program a moment ago; it is used once it has been free for a minute',
  )
}

/** Where the state directory cannot be written, it is not remembered over a reboot. */
export function recordClaim(state: string, endpoint: TcpEndpoint): void {
  try {
    writeFileSync(portTakenFile(state), `${formatEndpoint(endpoint)}\n`)
  } catch {
    // The reason is logged when the ledger is opened there.
  }
}

export function forgetClaim(state: string): void {
  rmSync(portTakenFile(state), { force: true })
}
