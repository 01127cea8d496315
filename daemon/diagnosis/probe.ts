/**
 * One request to a policy server, as smtpd would make it. CONNECT names no user, so nothing is
 * counted. A program that answers in another way, or hangs up, is a stranger; one that accepts the
 * connection and stays silent may be a stranger, or our own daemon that hangs, or systemd that
 * waits for it.
 */

import { connect } from 'node:net'
import { freePortAfter, listenersInTheWay, type Owner, ownerOf } from '../net/listeners.ts'
import { reachableAddress } from '../net/loopback.ts'
import { formatListener, type Listener } from '../postfix/smtpd/endpoint.ts'

/** Long for a daemon on this host, short for a person who waits for `doctor`. */
const ANSWER_MILLISECONDS = 600

export interface Probe {
  readonly where: string
  readonly listener: Listener
  readonly outcome: 'answers' | 'stranger' | 'mute' | 'silent'
}

export function probe(listener: Listener, milliseconds = ANSWER_MILLISECONDS): Promise<Probe> {
  const where = formatListener(listener)
  return new Promise(resolve => {
    const socket = connect(
      listener.kind === 'unix'
        ? { path: listener.path }
        : { host: listener.address, port: listener.port },
    )
    let text = ''
    let isConnected = false
    const end = (outcome: Probe['outcome']): void => {
      socket.destroy()
      resolve({ where, listener, outcome })
    }
    socket.setEncoding('utf8')
    socket.setTimeout(milliseconds, () => end(isConnected ? 'mute' : 'silent'))
    socket.once('connect', () => {
      isConnected = true
      socket.write('request=smtpd_access_policy\nprotocol_state=CONNECT\ninstance=probe\n\n')
    })
    socket.on('data', (chunk: string) => {
      text += chunk
      if (/^action=.*\n\n$/.test(text)) end('answers')
      else if (text.length > 1000) end('stranger')
    })
    socket.once('error', () => end(isConnected ? 'stranger' : 'silent'))
    socket.once('close', () => end(isConnected ? 'stranger' : 'silent'))
  })
}

/** A probe that failed, and what this host knows of the port. */
export interface OwnedProbe extends Probe {
  /** Which process listens there, if that can be seen. */
  readonly owner: Owner | undefined
  /** A port that the daemon could use instead. */
  readonly freePort: number
}

const FALLBACK_PORT = 12_346

export function withOwner(probe: Probe): OwnedProbe {
  const { listener, outcome } = probe
  if (listener.kind === 'unix' || outcome === 'silent') {
    return { ...probe, owner: undefined, freePort: FALLBACK_PORT }
  }
  const { address, port } = listener
  return {
    ...probe,
    owner: ownerOf(listenersInTheWay({ host: address, port })),
    freePort: freePortAfter(port) ?? FALLBACK_PORT,
  }
}

/** Where to connect to what listens there: a wildcard is not an address of anything. */
export function reachable(listener: Listener): Listener {
  if (listener.kind === 'unix') return listener
  return { ...listener, address: reachableAddress(listener.address) }
}
