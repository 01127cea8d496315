/**
 * ready: does this host's daemon answer where Postfix would query it?
 *
 * The package asks before it registers with Postfix. It is our daemon only if its control socket
 * answers as well: on the port alone it may be any program. The request is what Postfix would
 * send, over TCP; CONNECT names no user, so nothing is counted. There is no point in waiting for a
 * port that belongs to someone else, so that ends the command at once.
 */

import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { formatEndpoint } from '../../net/endpoint.ts'
import {
  anotherPort,
  describeOwner,
  listenersInTheWay,
  type Owner,
  ownerOf,
} from '../../net/listeners.ts'
import { listenAddresses, reachableAddress } from '../../net/loopback.ts'
import { describeError } from '../../system/errors.ts'
import { defineCommand } from '../command.ts'
import { NOT_RUNNING } from '../daemon-client.ts'
import type { Host } from '../host.ts'
import { json as jsonOption } from '../options.ts'
import { SERVICE, SOCKET } from '../take-effect.ts'

const ANSWER_MILLISECONDS = 5000
const PAUSE_MILLISECONDS = 100

export const ready = defineCommand({
  name: 'ready',
  group: 'package',
  summary: 'test whether the daemon answers where Postfix would query it',
  more: `
    Sends the daemon one request, as Postfix does, and makes sure that it is the daemon of this
    host that answers. The exit status is 0 if so, otherwise 1, with the reason.
  `,
  json: '{ok, reason}: the reason is missing if the daemon answers.',
  options: {
    wait: { type: 'number', argument: 'SECONDS', doc: 'Keep trying for this long.' },
    json: jsonOption,
  },
  async run({ wait = 0, json }, host) {
    const deadline = host.clock.now() + wait * 1000
    let missing = await problemNow(host)
    while (missing && !missing.isFinal && host.clock.now() < deadline) {
      await sleep(PAUSE_MILLISECONDS)
      missing = await problemNow(host)
    }
    const reason = missing?.message
    if (json) host.out(`${JSON.stringify({ ok: missing === undefined, reason }, undefined, 2)}\n`)
    else if (missing) host.err(`mtpolicyctl ready: ${reason}\n`)
    return missing ? 1 : 0
  },
})

interface Missing {
  readonly message: string
  /** Waiting does not help. */
  readonly isFinal: boolean
}

interface Where {
  readonly host: string
  readonly port: number
}

/** What is missing, or undefined. */
async function problemNow(host: Host): Promise<Missing | undefined> {
  const { endpoint } = host.postfix()
  const [first = ''] = listenAddresses(endpoint.host)
  const there = { host: reachableAddress(first), port: endpoint.port }
  const where = formatEndpoint({ kind: 'tcp', ...there })
  try {
    if (!(await answersAt(there))) return await silenceAt(host, where, there)
  } catch (error) {
    return await silenceAt(host, where, there, describeError(error))
  }
  const status = await host.daemon.status()
  if (typeof status !== 'string') return undefined
  if (status !== NOT_RUNNING) return { message: status, isFinal: false }
  return belongsTo(where, there.port, ownerOf(listenersInTheWay(there)))
}

function belongsTo(where: string, port: number, owner: Owner | undefined): Missing {
  const whose = `${where} belongs to ${describeOwner(owner)}`
  // A daemon of ours that is about to end, or whose control socket is not open yet.
  if (owner === undefined || owner.unit === SERVICE) {
    return { message: `${whose}; the daemon is not running`, isFinal: false }
  }
  return { message: `${whose}${anotherPort(port)}`, isFinal: true }
}

/** Why no policy server answers there. `why`: the connection failed. */
async function silenceAt(
  host: Host,
  where: string,
  endpoint: Where,
  why?: string,
): Promise<Missing> {
  const listeners = listenersInTheWay(endpoint)
  const owner = ownerOf(listeners)
  if (listeners.length === 0) {
    // The daemon needs both, and Postfix connects to the one.
    const six = { host: '::1', port: endpoint.port }
    const inTheWay = endpoint.host === '127.0.0.1' ? listenersInTheWay(six) : []
    if (inTheWay.length > 0) return belongsTo(`[::1]:${six.port}`, six.port, ownerOf(inTheWay))
    const reason = why === undefined ? '' : `: ${why}`
    return { message: `no answer from ${where}, nothing listens there${reason}`, isFinal: false }
  }
  if (owner?.unit === SERVICE) {
    return { message: `the daemon listens on ${where} but does not answer`, isFinal: false }
  }
  if (owner?.pid === 1 && (await isActive(host))) {
    const message = `systemd listens on ${where} for the daemon, which does not answer; see journalctl -u ${SERVICE}`
    return { message, isFinal: false }
  }
  return belongsTo(where, endpoint.port, owner)
}

async function isActive({ run }: Host): Promise<boolean> {
  return (await run(['systemctl', 'is-active', '--quiet', SOCKET])).status === 0
}

/** Whether the answer is one of a policy server. Rejects if there is no connection. */
function answersAt({ host, port }: Where): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port })
    let text = ''
    const end = (isAnswer: boolean): void => {
      socket.destroy()
      resolve(isAnswer)
    }
    socket.setEncoding('utf8')
    socket.setTimeout(ANSWER_MILLISECONDS, () => end(false))
    socket.once('connect', () =>
      socket.write('request=smtpd_access_policy\nprotocol_state=CONNECT\ninstance=ready\n\n'),
    )
    socket.on('data', (chunk: string) => {
      text += chunk
      if (/^action=.*\n\n$/.test(text)) end(true)
      else if (text.length > 1000) end(false)
    })
    socket.once('error', reject)
    socket.once('close', () => resolve(false))
  })
}
