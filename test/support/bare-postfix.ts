/**
 * A Postfix that takes mail and does nothing else: smtpd with what it needs, no queue manager, no
 * log. Its master is started by itself, which takes a fifth of a second where `postfix start` takes
 * two, so a test can have a hundred of them, one after the other or side by side.
 *
 * What is accepted stays in its queue. Users log in by AUTH PLAIN with any name and the password
 * `secret`; a Dovecot of ten lines answers for them, also to an smtpd in its chroot.
 */

import { execFile, spawnSync } from 'node:child_process'
import fs from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

const daemonDirectory = spawnSync('postconf', ['-dh', 'daemon_directory'], {
  encoding: 'utf8',
}).stdout?.trim()

const PRIVATE =
  'private incoming active deferred defer bounce hold corrupt saved trace flush'.split(' ')

/** What every main.cf begins with, unless a set-up says otherwise of the same parameter. */
export function bareMainCf(directory: string): string {
  return `compatibility_level = 3.6
queue_directory = ${directory}/queue
data_directory = ${directory}/data
myhostname = mail.example.org
mydestination = example.org
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.1/32
local_recipient_maps =
local_transport = discard:
default_transport = discard:
alias_maps =
smtpd_peername_lookup = no
smtpd_sasl_type = dovecot
smtpd_sasl_path = private/auth
smtpd_error_sleep_time = 0
smtpd_authorized_xclient_hosts = 127.0.0.0/8
`
}

/** The services beside smtpd. */
export const BARE_MASTER_CF = `cleanup unix n - n - 0 cleanup
rewrite unix - - n - - trivial-rewrite
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
tlsmgr unix - - n 1000? 1 tlsmgr
discard unix - - n - - discard
`

/** `directory` gets a queue; its main.cf and master.cf are in `directory/etc`. */
export function makeQueue(directory: string): void {
  const queue = path.join(directory, 'queue')
  for (const name of ['pid', 'public', 'maildrop', ...PRIVATE]) {
    fs.mkdirSync(path.join(queue, name), { recursive: true })
  }
  fs.mkdirSync(path.join(directory, 'data'))
  const { postfix, postdrop } = ids()
  fs.chownSync(path.join(directory, 'data'), postfix, 0)
  for (const name of PRIVATE) fs.chownSync(path.join(queue, name), postfix, 0)
  for (const name of ['public', 'maildrop']) {
    fs.chownSync(path.join(queue, name), postfix, postdrop)
  }
  for (const name of PRIVATE) fs.chmodSync(path.join(queue, name), 0o700)
  fs.chmodSync(path.join(queue, 'public'), 0o710)
  fs.chmodSync(path.join(queue, 'maildrop'), 0o730)
}

function ids(): { postfix: number; postdrop: number } {
  const number = (file: string, name: string) =>
    Number(new RegExp(`^${name}:[^:]*:(\\d+)`, 'm').exec(fs.readFileSync(file, 'utf8'))?.[1])
  return { postfix: number('/etc/passwd', 'postfix'), postdrop: number('/etc/group', 'postdrop') }
}

export interface BarePostfix {
  stop(): Promise<void>
}

/** undefined: its master gives up, because there is something that no program of Postfix takes. */
export async function startBarePostfix(directory: string): Promise<BarePostfix | undefined> {
  const configDir = path.join(directory, 'etc')
  // Every Postfix program waits until main.cf is a second old.
  fs.utimesSync(path.join(configDir, 'main.cf'), new Date(0), new Date(0))
  const auth = await serveLogins(path.join(directory, 'queue/private/auth'))
  try {
    const argv = ['20', path.join(daemonDirectory, 'master'), '-c', configDir, '-w']
    await promisify(execFile)('timeout', argv, { env: { PATH: process.env.PATH } })
  } catch {
    auth.close()
    return undefined
  }
  const pid = Number(fs.readFileSync(path.join(directory, 'queue/pid/master.pid'), 'utf8'))
  return {
    async stop() {
      auth.close()
      process.kill(pid, 'SIGTERM')
      for (let tries = 0; isAlive(pid) && tries < 100; tries++) await sleep(20)
    },
  }
}

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s*Z/m.test(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

/** Dovecot's auth protocol, version 1.1, as far as smtpd speaks it. */
async function serveLogins(socketPath: string): Promise<{ close(): void }> {
  fs.rmSync(socketPath, { force: true })
  const sockets = new Set<net.Socket>()
  const server = net.createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.write('VERSION\t1\t1\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\t00\nDONE\n')
    let input = ''
    socket.on('data', chunk => {
      input += chunk.toString()
      for (let end = input.indexOf('\n'); end >= 0; end = input.indexOf('\n')) {
        const [verb, id, ...rest] = input.slice(0, end).split('\t')
        input = input.slice(end + 1)
        if (verb !== 'AUTH') continue
        const response = rest.find(word => word.startsWith('resp='))?.slice(5) ?? ''
        const [, user, password] = Buffer.from(response, 'base64').toString().split('\0')
        const isGood = password === 'secret'
        socket.write(isGood ? `OK\t${id}\tuser=${user}\n` : `FAIL\t${id}\tuser=${user}\n`)
      }
    })
  })
  await new Promise<void>(resolve => server.listen(socketPath, resolve))
  fs.chmodSync(socketPath, 0o666)
  return {
    close() {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}
