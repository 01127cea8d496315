/**
 * The effect of a changed file on the host: the daemon reloads; if systemd holds the listening
 * sockets and they move, the units are stopped and started, which closes the old endpoint; a service
 * that has failed and waits is retried at once; then Postfix's items follow.
 *
 * Below another root than / no unit is touched. A port that another program uses is refused before
 * anything is stored; the message names that program and a free port.
 */

import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import {
  anotherPort,
  describeOwner,
  excludes,
  hostListeners,
  listenersInTheWay,
  ownerOf,
} from '../net/listeners.ts'
import type { Problem } from '../policy/problem.ts'
import type { RegistrationResult } from '../postfix/registration/registration.ts'
import { forgetClaim } from '../run/port-claim.ts'
import type { Run } from '../system/external-program.ts'

export interface EffectIo {
  readonly root: string
  /** Is systemd the init of this host? sd_booted(3) */
  readonly isBooted: boolean
  readonly run: Run
  readonly reload: () => Promise<void>
  readonly follow: () => Promise<readonly RegistrationResult[]>
  readonly err: (text: string) => void
}

const DROP_IN = 'etc/systemd/system/univention-mtpolicyd.socket.d/listen.conf'
const CONFIG = 'etc/univention-mtpolicyd/mtpolicyd.conf'
const STATE = 'var/lib/univention-mtpolicyd'
export const SOCKET = 'univention-mtpolicyd.socket'
export const SERVICE = 'univention-mtpolicyd.service'
/** Active while the service has failed and waits to be retried. */
export const RETRY = 'univention-mtpolicyd-retry.service'

/** Throws if the daemon or systemd refuses. */
export async function takeEffect(changed: readonly string[], io: EffectIo): Promise<void> {
  const isElsewhere = io.root !== '/'
  const isMoved = changed.includes(join(io.root, DROP_IN))
  if (isElsewhere || !io.isBooted) await io.reload()
  else if (isMoved) await moveSockets(io)
  // The change may have removed the reason why it failed.
  else if (await isActive(io.run, RETRY)) await startAgain(io.run, [SERVICE])
  else await io.reload()
  // A root may hold a configuration of the daemon and none of a mail server.
  if (isElsewhere && !existsSync(join(io.root, 'etc/postfix/main.cf'))) return
  for (const { configDir, ok, reasons } of await io.follow()) {
    if (!ok) io.err(`W: ${configDir}: ${reasons.join('; ')}; see mtpolicyctl postfix status\n`)
  }
}

async function moveSockets({ root, run, reload }: EffectIo): Promise<void> {
  // Queried first: a socket unit whose addresses change is dead once systemd has read them.
  const active = (await isActive(run, SOCKET)) ? [SOCKET] : []
  const isWaiting = await isActive(run, RETRY)
  if (isWaiting || (await isActive(run, SERVICE))) active.push(SERVICE)
  await systemctl(run, 'daemon-reload')
  // The daemon listens by itself, if it runs at all.
  if (!active.includes(SOCKET) && !isWaiting) return reload()
  // The owner of the old port does not matter any more: the new one was found free.
  forgetClaim(join(root, STATE))
  // A socket does not start beside its running service, and `restart` of both does not always
  // wait for that (seen with systemd 252).
  await systemctl(run, 'stop', SOCKET, SERVICE)
  await startAgain(run, active)
}

/** However often it was started just now. The service starts its socket as well. */
async function startAgain(run: Run, units: readonly string[]): Promise<void> {
  await run(['systemctl', 'stop', RETRY])
  await run(['systemctl', 'reset-failed', SOCKET, SERVICE])
  await systemctl(run, 'start', ...units)
}

async function isActive(run: Run, unit: string): Promise<boolean> {
  return (await run(['systemctl', 'is-active', '--quiet', unit])).status === 0
}

async function systemctl(run: Run, ...argv: readonly string[]): Promise<void> {
  const { status, stderr } = await run(['systemctl', ...argv])
  if (status !== 0) throw new Error(`systemctl ${argv.join(' ')}: ${stderr.trim() || status}`)
}

/**
 * Whether the addresses in a staged file can be listened on. The file is the drop-in for systemd or,
 * on a host without systemd, the daemon's own configuration.
 */
export async function checkDropIn(
  staged: string,
  target: string,
  { root }: Pick<EffectIo, 'root'>,
): Promise<readonly Problem[]> {
  const hasDropIn = existsSync(join(root, 'etc/systemd/system'))
  if (root !== '/' || target !== join(root, hasDropIn ? DROP_IN : CONFIG)) return []
  return occupied(staged, target)
}

/** The addresses in a staged file that other programs use; those in its target are ours. */
export async function occupied(staged: string, target: string): Promise<readonly Problem[]> {
  const ours = streamsOf(target)
  // The previous port is unknown: the daemon that listens there may be our own.
  if (ours.length === 0) return []
  const problems: Problem[] = []
  for (const stream of streamsOf(staged)) {
    if (ours.some(one => isSame(one, stream))) continue
    const isOurPort = ours.some(({ port }) => port === stream.port)
    const owner = isOurPort ? foreignerAt(stream, ours) : await occupant(stream)
    if (owner === undefined) continue
    const message = `${stream.text} is in use by ${owner}${anotherPort(stream.port)}`
    problems.push({
      severity: 'error',
      place: { file: staged, line: stream.line, column: 1 },
      message,
    })
  }
  return problems
}

interface Stream {
  readonly text: string
  readonly host: string
  readonly port: number
  readonly line: number
}

const isSame = (a: Omit<Stream, 'line' | 'text'>, b: Omit<Stream, 'line' | 'text'>): boolean =>
  a.host === b.host && a.port === b.port

/** `ListenStream=[::1]:12345` of systemd's, or `port = "127.0.0.1:12345,[::1]:12345"` of our own. */
function streamsOf(file: string): Stream[] {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch {
    return []
  }
  return text.split('\n').flatMap((line, at) => {
    const [, streams = ''] = /^(?:ListenStream=|port = ")([^"]+)"?$/.exec(line) ?? []
    return streams.split(',').flatMap(stream => {
      const [, host = '', port = ''] = /^\[?([^\]]*?)\]?:(\d+)$/.exec(stream) ?? []
      return port === '' ? [] : [{ text: stream, host, port: Number(port), line: at + 1 }]
    })
  })
}

/** On a port that is ours at other addresses: the owner of what is not ours. */
function foreignerAt(stream: Stream, ours: readonly Stream[]): string | undefined {
  const listeners = hostListeners().filter(
    one => excludes(one, stream) && !ours.some(own => isSame(own, one)),
  )
  return listeners.length === 0 ? undefined : describeOwner(ownerOf(listeners))
}

/** Only an address in use counts: one that this host does not have yet may come. */
function occupant({ host, port }: Stream): Promise<string | undefined> {
  return new Promise(resolve => {
    const probe = createServer()
    probe.once('error', error => {
      const isTaken = 'code' in error && error.code === 'EADDRINUSE'
      resolve(isTaken ? describeOwner(ownerOf(listenersInTheWay({ host, port }))) : undefined)
    })
    probe.listen({ host, port, ipv6Only: true }, () => probe.close(() => resolve(undefined)))
  })
}
