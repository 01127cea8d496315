/**
 * A private Postfix for tests: its own directory, its own loopback ports, nothing of /etc/postfix
 * is touched and nothing can leave the machine (every transport discards).
 *
 *   const skip = postfixRigMissing()          // false, or why not; throws where CI promised one
 *   const rig = await createPostfixRig()
 *   rig.set('smtpd_end_of_data_restrictions = check_policy_service inet:127.0.0.1:12399')
 *   await rig.start()
 *   ...
 *   await rig.remove()                        // stops it, too
 *
 * 127.0.0.1 is inside mynetworks, every other 127/8 address is outside; loopback may say XCLIENT.
 * Users log in with their name at `mail.example.org` (or bare) and the password `secret`.
 * Several rigs run side by side. It needs root, because Postfix's master must start as root.
 */

import { execFileSync, spawnSync } from 'node:child_process'
import fs from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from './free-port.ts'

export interface PostfixRigOptions {
  /** Accounts that may log in, at `mail.example.org` unless they name another domain; default `alice` and `bob`. */
  readonly users?: readonly string[]
  /** Where its directory is made, instead of the usual place for temporary files. */
  readonly parent?: string
  /** Lines added to main.cf. Never repeat a parameter: use `set()` to change one (see `set`). */
  readonly mainCf?: string
  /** `-o` lines for the two authenticated services, each like `smtpd_relay_restrictions=`. */
  readonly submissionOptions?: readonly string[]
}

export interface PostfixRig {
  readonly directory: string
  /** What `postfix -c` and `postconf -c` want. */
  readonly configDirectory: string
  readonly mainCf: string
  readonly masterCf: string
  readonly password: string
  readonly ports: { readonly smtp: number; readonly submission: number; readonly smtps: number }
  /** The user name as Postfix reports it: `alice@mail.example.org`. */
  login(user: string): string
  start(): Promise<void>
  stop(): Promise<void>
  /** Stop and start: open policy connections and smtpd processes of before are gone. */
  restart(): Promise<void>
  /** Reload and wait until the services answer again. */
  reload(): Promise<void>
  isRunning(): boolean
  /** `postconf -e`, which never leaves a duplicate. With maillog_file a duplicate makes Postfix hang. */
  set(...assignments: string[]): void
  unset(...names: string[]): void
  postconf(...argv: string[]): string
  /** Dates main.cf back, so that Postfix's programs do not pause for one that is still hot. */
  cool(): void
  log(): string
  /** Queue IDs of the messages that Postfix took over, in order (from the queue manager's log lines). */
  queueIds(): string[]
  /** Waits until the log has the pattern; rejects with the log's end when it never comes. */
  logged(pattern: RegExp): Promise<void>
  /** Stops it and deletes its directory. */
  remove(): Promise<void>
}

const PASSWORD = 'secret'
const HOSTNAME = 'mail.example.org'
const PATIENCE_MS = 20_000

/** Why no rig can be built here, or false. On CI a missing Postfix is a failure, not a skip. */
export function postfixRigMissing(): string | false {
  const missing: string[] = []
  if (process.getuid?.() !== 0) missing.push('root')
  for (const program of ['postfix', 'postconf', 'saslpasswd2', 'openssl']) {
    if (!onPath(program)) missing.push(program)
  }
  if (missing.length === 0) return false
  const reason = `a real Postfix needs ${missing.join(', ')}`
  if (process.env.CI) throw new Error(reason)
  return reason
}

export async function createPostfixRig(options: PostfixRigOptions = {}): Promise<PostfixRig> {
  const directory = fs.mkdtempSync(path.join(options.parent ?? os.tmpdir(), 'postfix-rig-'))
  // Postfix's processes give up root and must still reach their files.
  fs.chmodSync(directory, 0o755)
  const configDirectory = path.join(directory, 'etc')
  const queue = path.join(directory, 'queue')
  const logFile = path.join(directory, 'mail.log')
  const pidFile = path.join(queue, 'pid/master.pid')
  const ports = {
    smtp: await freePort(),
    submission: await freePort(),
    smtps: await freePort(),
  }

  fs.mkdirSync(path.join(configDirectory, 'sasl'), { recursive: true })
  fs.mkdirSync(queue)
  fs.mkdirSync(path.join(directory, 'data'))
  run('chown', 'postfix', path.join(directory, 'data'))
  for (const name of ['dynamicmaps.cf', 'postfix-files', 'dynamicmaps.cf.d', 'postfix-files.d']) {
    // Without them, map types from extra packages are unknown.
    const source = path.join('/etc/postfix', name)
    if (fs.existsSync(source)) {
      fs.cpSync(source, path.join(configDirectory, name), { recursive: true })
    }
  }
  makeCertificate(configDirectory)
  makeUsers(configDirectory, options.users ?? ['alice', 'bob'])
  const mainCf = path.join(configDirectory, 'main.cf')
  const masterCf = path.join(configDirectory, 'master.cf')
  fs.writeFileSync(mainCf, mainCfText(directory, options.mainCf ?? ''))
  fs.writeFileSync(masterCf, masterCfText(ports, options.submissionOptions ?? []))

  const master = (): number | undefined => {
    if (!fs.existsSync(pidFile)) return undefined
    const pid = Number(fs.readFileSync(pidFile, 'utf8').trim())
    try {
      // The pid file outlives a crash; only a process that works in our queue is ours.
      return fs.readlinkSync(`/proc/${pid}/cwd`) === fs.realpathSync(queue) ? pid : undefined
    } catch {
      return undefined
    }
  }
  // Every Postfix program waits until main.cf is two seconds old; a file from the past is at once.
  const cool = () => {
    if (fs.statSync(mainCf).mtimeMs !== 0) fs.utimesSync(mainCf, new Date(0), new Date(0))
  }
  const log = () => (fs.existsSync(logFile) ? fs.readFileSync(logFile, 'utf8') : '')

  const rig: PostfixRig = {
    directory,
    configDirectory,
    mainCf,
    masterCf,
    password: PASSWORD,
    ports,
    login: user => (user.includes('@') ? user : `${user}@${HOSTNAME}`),
    async start() {
      const begin = (): void => {
        cool()
        run('timeout', '20', 'postfix', '-c', configDirectory, 'start')
      }
      try {
        begin()
      } catch {
        // Seen on a busy machine: a port, or the lock of the master before, was still taken.
        await sleep(1000)
        try {
          begin()
        } catch (error) {
          throw new Error(`${error}\n${log().slice(-2000)}`)
        }
      }
      for (const port of Object.values(ports)) await untilListening(port)
    },
    async stop() {
      const pid = master()
      if (pid === undefined) return
      process.kill(pid, 'SIGTERM')
      if (await within(5_000, () => master() === undefined)) return
      // The master leads its own session: this ends its children with it, and nobody else.
      process.kill(-pid, 'SIGKILL')
      await within(5_000, () => master() === undefined)
    },
    async restart() {
      await rig.stop()
      await rig.start()
    },
    async reload() {
      cool()
      const before = count(log(), /reload -- version/g)
      run('timeout', '20', 'postfix', '-c', configDirectory, 'reload')
      await within(PATIENCE_MS, () => count(log(), /reload -- version/g) > before)
      for (const port of Object.values(ports)) await untilListening(port)
    },
    isRunning: () => master() !== undefined,
    set: (...assignments) => {
      rig.postconf('-e', ...assignments)
    },
    unset: (...names) => {
      rig.postconf('-X', ...names)
    },
    postconf(...argv) {
      cool()
      return run('postconf', '-c', configDirectory, ...argv)
    },
    cool,
    log,
    queueIds() {
      const taken = log().matchAll(/ postfix\/qmgr\[\d+\]: ([0-9A-Za-z]+): from=</g)
      return [...new Set([...taken].map(match => match[1] ?? ''))]
    },
    async logged(pattern) {
      if (await within(PATIENCE_MS, () => pattern.test(log()))) return
      throw new Error(`never logged: ${pattern}\n${log().split('\n').slice(-30).join('\n')}`)
    },
    async remove() {
      await rig.stop()
      fs.rmSync(directory, { recursive: true, force: true })
    },
  }
  return rig
}

function mainCfText(directory: string, more: string): string {
  const etc = path.join(directory, 'etc')
  // XCLIENT with an IPv6 address needs the protocol switched on.
  const protocols = fs.existsSync('/proc/net/if_inet6') ? 'all' : 'ipv4'
  return `compatibility_level = 3.6
config_directory = ${etc}
queue_directory = ${directory}/queue
data_directory = ${directory}/data
maillog_file = ${directory}/mail.log
maillog_file_prefixes = ${directory}
myhostname = ${HOSTNAME}
mydomain = example.org
mydestination = example.org, localhost
inet_interfaces = 127.0.0.1
inet_protocols = ${protocols}
mynetworks = 127.0.0.1/32
smtpd_authorized_xclient_hosts = 127.0.0.0/8
local_recipient_maps =
local_transport = discard:local
default_transport = discard:remote
relay_transport = discard:relay
alias_maps =
alias_database =
smtpd_sasl_path = smtpd
smtpd_sasl_security_options = noanonymous
smtpd_tls_cert_file = ${etc}/cert.pem
smtpd_tls_key_file = ${etc}/key.pem
smtpd_tls_security_level = may
smtp_tls_security_level = none
smtpd_peername_lookup = no
smtpd_error_sleep_time = 0
smtpd_hard_error_limit = 1000
${more === '' || more.endsWith('\n') ? more : `${more}\n`}`
}

function masterCfText(ports: PostfixRig['ports'], options: readonly string[]): string {
  const extra = options.map(option => `  -o ${option}\n`).join('')
  return `${ports.smtp} inet n - n - - smtpd
${ports.submission} inet n - n - - smtpd
  -o syslog_name=postfix/submission
  -o smtpd_sasl_auth_enable=yes
${extra}${ports.smtps} inet n - n - - smtpd
  -o syslog_name=postfix/smtps
  -o smtpd_tls_wrappermode=yes
  -o smtpd_sasl_auth_enable=yes
${extra}pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
`
}

function makeCertificate(etc: string): void {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const files = ['-out', path.join(etc, 'cert.pem'), '-keyout', path.join(etc, 'key.pem')]
  run(
    'openssl',
    'req',
    '-new',
    '-x509',
    '-days',
    '3650',
    ...key,
    '-subj',
    `/CN=${HOSTNAME}`,
    ...files,
  )
}

function makeUsers(etc: string, users: readonly string[]): void {
  const database = path.join(etc, 'sasl/sasldb2')
  // Debian's Postfix finds the Cyrus file here and nowhere else below its own configuration.
  fs.writeFileSync(
    path.join(etc, 'sasl/smtpd.conf'),
    'pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN LOGIN\n' +
      `sasldb_path: ${database}\n`,
  )
  for (const user of users) {
    const [name = '', domain = HOSTNAME] = user.split('@')
    const argv = ['-p', '-c', '-f', database, '-u', domain, name]
    execFileSync('saslpasswd2', argv, { input: PASSWORD, stdio: ['pipe', 'pipe', 'pipe'] })
  }
  run('chown', 'root:postfix', database)
  fs.chmodSync(database, 0o640)
}

async function untilListening(port: number): Promise<void> {
  const answers = () =>
    new Promise<boolean>(resolve => {
      const socket = net.connect(port, '127.0.0.1')
      socket.once('connect', () => resolve(true))
      socket.once('error', () => resolve(false))
      socket.once('connect', () => socket.destroy())
    })
  const until = Date.now() + PATIENCE_MS
  while (!(await answers())) {
    if (Date.now() > until) throw new Error(`Postfix does not listen on port ${port}`)
    await sleep(50)
  }
}

async function within(milliseconds: number, isTrue: () => boolean): Promise<boolean> {
  const until = Date.now() + milliseconds
  while (!isTrue()) {
    if (Date.now() > until) return false
    await sleep(30)
  }
  return true
}

function count(text: string, pattern: RegExp): number {
  return [...text.matchAll(pattern)].length
}

function onPath(program: string): boolean {
  const places = (process.env.PATH ?? '').split(':').concat('/usr/sbin', '/sbin')
  return places.some(place => fs.existsSync(path.join(place, program)))
}

function run(program: string, ...argv: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, argv, { encoding: 'utf8' })
  if (error) throw error
  if (status !== 0)
    throw new Error(`${program} ${argv.join(' ')}: exit ${status}\n${stdout}${stderr}`)
  return stdout
}
