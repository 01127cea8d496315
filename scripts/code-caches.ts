/**
 * Runs each program of the build once on its most frequent task, so that V8 need not compile it at
 * every start: mtpolicyctl sets a variable; the daemon starts, answers and stops.
 *
 * Everything is written to a temporary directory. If that fails, for example without loopback, the
 * programs start without a cache, and more slowly.
 */

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const REQUEST = [
  'request=smtpd_access_policy',
  'protocol_state=END-OF-MESSAGE',
  'protocol_name=ESMTP',
  'client_address=192.0.2.1',
  'sasl_method=plain',
  'sasl_username=nobody',
  'instance=1.1',
  'recipient_count=1',
  '\n',
].join('\n')
const PATIENCE_MILLISECONDS = 20_000

export async function writeCodeCaches(
  dist: string,
  flagsOf: (program: string) => readonly string[],
): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'code-cache-'))
  const command = (program: string, ...argv: string[]): string[] => [
    ...flagsOf(program),
    join(import.meta.dirname, 'code-cache.cjs'),
    join(dist, `${program}.cjs`),
    ...['--root', root, ...argv],
  ]
  const node = join(dist, 'node')
  try {
    const port = await freePort()
    execFileSync(node, command('mtpolicyctl', 'set', `mtpolicyd/port=${port}`))
    const daemon = spawn(node, command('mtpolicyd', '-f'), { stdio: 'ignore' })
    const ended = once(daemon, 'exit')
    try {
      await Promise.race([
        ask(port),
        ended.then(([status]) => Promise.reject(new Error(`the daemon ended: ${status}`))),
      ])
    } finally {
      daemon.kill()
      await ended
    }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    process.stderr.write(`build: no code cache, so the programs start more slowly: ${why}\n`)
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}

/** Until the daemon answers. */
async function ask(port: number): Promise<void> {
  const deadline = Date.now() + PATIENCE_MILLISECONDS
  for (;;) {
    const socket = connect(port, '127.0.0.1')
    try {
      await once(socket, 'connect')
      socket.end(REQUEST)
      await once(socket, 'data')
      return
    } catch (error) {
      if (Date.now() > deadline) throw error
      await sleep(20)
    } finally {
      socket.destroy()
    }
  }
}
