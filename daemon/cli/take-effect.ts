/**
 * What a changed file brings about on the host: the daemon reloads; where systemd holds the
 * listening sockets and they move, the units are stopped and started, which ends the old endpoint;
 * then Postfix's items follow.
 *
 * Below another root than / only the daemon there is told. A port that somebody else has is refused
 * before anything is stored.
 */

import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import type { Problem } from '../policy/problem.ts'
import type { Run } from '../postfix/external-program.ts'
import type { RegistrationResult } from '../postfix/registration.ts'

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
const SOCKET = 'univention-mtpolicyd.socket'
const SERVICE = 'univention-mtpolicyd.service'

/** Throws if the daemon or systemd did not take it. */
export async function takeEffect(changed: readonly string[], io: EffectIo): Promise<void> {
  const isElsewhere = io.root !== '/'
  const isMoved = changed.includes(join(io.root, DROP_IN))
  if (isElsewhere || !isMoved || !io.isBooted) await io.reload()
  else await moveSockets(io)
  if (isElsewhere) return
  for (const { configDir, ok, reasons } of await io.follow()) {
    if (!ok) io.err(`W: ${configDir}: ${reasons.join('; ')}; see mtpolicyctl postfix status\n`)
  }
}

async function moveSockets({ run, reload }: EffectIo): Promise<void> {
  // Asked first: a socket unit whose addresses change is dead once systemd has read them.
  const isActive = async (unit: string): Promise<boolean> =>
    (await run(['systemctl', 'is-active', '--quiet', unit])).status === 0
  const active = (await isActive(SOCKET)) ? [SOCKET] : []
  if (await isActive(SERVICE)) active.push(SERVICE)
  await systemctl(run, 'daemon-reload')
  // The daemon listens by itself, if it runs at all.
  if (!active.includes(SOCKET)) return reload()
  // A socket does not start beside its running service, and `restart` of both does not always
  // wait for that (seen with systemd 252).
  await systemctl(run, 'stop', SOCKET, SERVICE)
  await systemctl(run, 'start', ...active)
}

async function systemctl(run: Run, ...argv: readonly string[]): Promise<void> {
  const { status, stderr } = await run(['systemctl', ...argv])
  if (status !== 0) throw new Error(`systemctl ${argv.join(' ')}: ${stderr.trim() || status}`)
}

/** What keeps systemd from listening where a staged drop-in says. */
export async function checkDropIn(
  staged: string,
  target: string,
  { root, isBooted }: Pick<EffectIo, 'root' | 'isBooted'>,
): Promise<readonly Problem[]> {
  if (root !== '/' || !isBooted || target !== join(root, DROP_IN)) return []
  const portOf = (stream: string): string => stream.slice(stream.lastIndexOf(':'))
  const ports = new Set(streamsOf(target).map(({ stream }) => portOf(stream)))
  // The first one says what holds already: it may be our own daemon that listens there.
  if (ports.size === 0) return []
  const problems: Problem[] = []
  for (const { stream, line } of streamsOf(staged)) {
    // On this port it is us.
    if (ports.has(portOf(stream))) continue
    const message = await occupied(stream)
    const place = { file: staged, line, column: 1 }
    if (message !== undefined) problems.push({ severity: 'error', place, message })
  }
  return problems
}

function streamsOf(file: string): { stream: string; line: number }[] {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch {
    return []
  }
  return text.split('\n').flatMap((line, at) => {
    const stream = /^ListenStream=(.+)$/.exec(line)?.[1]
    return stream === undefined ? [] : [{ stream, line: at + 1 }]
  })
}

/** Only "somebody has it" counts: an address that is not there yet may come. */
function occupied(stream: string): Promise<string | undefined> {
  const [, host = '', port = ''] = /^\[?([^\]]*?)\]?:(\d+)$/.exec(stream) ?? []
  if (port === '') return Promise.resolve(undefined)
  return new Promise(resolve => {
    const probe = createServer()
    probe.once('error', error => {
      const isTaken = 'code' in error && error.code === 'EADDRINUSE'
      resolve(isTaken ? `${stream} is in use by another program` : undefined)
    })
    probe.listen({ host, port: Number(port), ipv6Only: true }, () =>
      probe.close(() => resolve(undefined)),
    )
  })
}
