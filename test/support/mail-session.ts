/**
 * What is done on a mail host (mail-host.ts) to see whether Postfix asks: register as the command
 * does, start each instance, log in at every service and send, let the daemon refuse, take it back,
 * send again. A program; its argument is a Session in JSON, its output a SessionReport.
 *
 * The daemon is a stub that records, and refuses what comes from refused-…@example.com. Other
 * policy services answer DUNNO, every host but those of block lists has an address.
 */

import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from '../../daemon/postfix/inspect.ts'
import {
  type RegistrationResult,
  register,
  unregister,
} from '../../daemon/postfix/registration/register.ts'
import { type Finished, type Run, runProgram } from '../../daemon/system/external-program.ts'
import { startDnsServer } from './dns-server.ts'
import type { MailHost } from './mail-host.ts'
import { startPasswordServer } from './password-server.ts'
import { type PolicyStub, policyStub, type Request } from './policy-stub.ts'
import { connectSmtp, type SmtpClient, type SmtpReply } from './smtp-client.ts'

export interface Session {
  readonly instances: readonly SessionInstance[]
}

export interface SessionInstance {
  /** `/etc/NAME` */
  readonly name: string
  /** `postfix check` takes its time: where it is not the point it is answered for. */
  readonly isChecked?: boolean
  readonly sasl: readonly string[]
  /** Of others: they answer DUNNO. */
  readonly policyServices: readonly string[]
  /** A front end says by XCLIENT who logged in. */
  readonly byXclient?: boolean
  /** Clients come by IPv6. */
  readonly isIPv6?: boolean
}

export interface SessionReport {
  readonly registered: readonly RegistrationResult[]
  readonly unregistered: readonly RegistrationResult[]
  readonly instances: readonly InstanceReport[]
  /** Requests after everything was taken back. */
  readonly askedAfterwards: number
  readonly milliseconds: Readonly<Record<string, number>>
}

export interface InstanceReport {
  readonly name: string
  /** As `mtpolicyctl postfix status` tells it. */
  readonly status: { readonly ok: boolean; readonly answers: Readonly<Record<string, string>> }
  readonly before: readonly string[]
  readonly after: readonly string[]
  readonly visits: readonly Visit[]
  readonly visitsAfterwards: readonly Visit[]
}

export interface Visit {
  /** As in master.cf: `submission/inet`; behind postscreen the service that it passes clients to. */
  readonly service: string
  readonly port: number
  readonly client: 'outside' | 'in mynetworks'
  readonly isLoggedIn: boolean
  readonly mail: Mail
  /** The mail that the daemon refuses; only where the other was accepted. */
  readonly refused?: Mail
}

export interface Mail {
  readonly accepted: boolean
  readonly reply: string
  /** Requests in which the user is named, about this mail. */
  readonly asked: readonly {
    readonly state: string
    readonly count: number
    readonly user: string
  }[]
  /** Those without a user: the mail came back from a filter. */
  readonly askedAgain: number
  readonly isQueued: boolean
}

const PORTS: Readonly<Record<string, number>> = {
  smtp: 25,
  smtps: 465,
  submissions: 465,
  submission: 587,
}
const USER = 'alice@mail.example.org'
const DAEMON_PORT = 12345
const ADDRESSES = { outside: '203.0.113.9', 'in mynetworks': '127.0.0.1' } as const
const ADDRESSES_6 = { outside: '2001:db8::9', 'in mynetworks': '::1' } as const
const RECIPIENTS = ['bob@example.net', 'carol@example.net', 'dave@example.com']
const PATIENCE_MS = 60_000
const PUSH_AGAIN_MS = 5000
/** Two queue managers of one queue, as mailcow has them, may both take a file and neither deliver it. */
const SHARED_QUEUE_MS = 15_000
const COMPILED = path.join(import.meta.dirname, '../../node_modules/.cache/mail-session')

async function hold(session: Session): Promise<SessionReport> {
  const milliseconds: Record<string, number> = {}
  const timed = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    const began = performance.now()
    const result = await work()
    milliseconds[name] = Math.round(performance.now() - began)
    return result
  }
  const daemon = policyStub(request =>
    request.get('sender')?.startsWith('refused-') ? 'REJECT too much' : 'DUNNO',
  )
  await listenOnLoopback(daemon, DAEMON_PORT)
  await startOthers(session)
  // Register asks before and after: before, postconf alone says what there is to complain about.
  const settled = new Map<string, Promise<Finished>>()
  const program: Run = argv => {
    // The defaults of this Postfix stay what they are.
    const key = argv.join(' ')
    if (key !== 'postconf -d') return runProgram(argv)
    const known = settled.get(key) ?? runProgram(argv)
    settled.set(key, known)
    return known
  }
  let checks = 0
  const isChecked = (argv: readonly string[]) =>
    session.instances.some(one => one.isChecked && argv.includes(`/etc/${one.name}`))
  const quick: Run = async argv => {
    if (argv.at(-1) !== 'check') return program(argv)
    if (!isChecked(argv)) return { status: 0, stdout: '', stderr: '' }
    if (++checks % 2 === 0) return program(argv)
    const said = await program(['/usr/sbin/postconf', ...argv.slice(1, -1), '-n'])
    return { ...said, stdout: '' }
  }
  const unchecked: Run = async argv =>
    argv.at(-1) === 'check' ? { status: 0, stdout: '', stderr: '' } : program(argv)
  const options = {
    run: quick,
    endpoint: { host: 'localhost', port: DAEMON_PORT },
    stateFile: '/var/lib/univention-mtpolicyd/postfix.json',
  }
  const before = session.instances.map(checksums)
  const registered = await timed('register', () => register(options))
  const statuses = await timed('status', () => inspect(options))
  const visits: Visit[][] = []
  const { length } = session.instances
  for (const [at, instance] of session.instances.entries()) {
    await timed(`start ${instance.name}`, () => start(instance))
    visits.push(await timed(`visit ${instance.name}`, () => visitAll(instance, daemon.requests)))
    if (at < length - 1) await stop(instance)
  }
  const unregistered = await timed('unregister', () => unregister({ ...options, run: unchecked }))
  const after = session.instances.map(checksums)
  const last = session.instances.at(-1)
  // An smtpd of before the reload may still take the next connection.
  await sleep(1000)
  daemon.forget()
  const afterwards = last ? await timed('again', () => visitAll(last, daemon.requests, true)) : []
  const askedAfterwards = daemon.requests.length
  return {
    registered,
    unregistered,
    askedAfterwards,
    milliseconds,
    instances: session.instances.map(({ name }, at) => {
      const status = statuses.find(({ configDir }) => configDir === `/etc/${name}`)
      const answers = status?.services.map(one => [one.name, one.answer]) ?? []
      return {
        name,
        status: { ok: status?.ok ?? false, answers: Object.fromEntries(answers) },
        before: before[at] ?? [],
        after: after[at] ?? [],
        visits: visits[at] ?? [],
        visitsAfterwards: at === length - 1 ? afterwards : [],
      }
    }),
  }
}

/** By both families, where there is IPv6. */
async function listenOnLoopback(stub: PolicyStub, port: number): Promise<void> {
  await stub.listen(`127.0.0.1:${port}`)
  await stub.listen(`[::1]:${port}`).catch(error => {
    if (error.code !== 'EADDRNOTAVAIL' && error.code !== 'EAFNOSUPPORT') throw error
  })
}

async function startOthers({ instances }: Session): Promise<void> {
  const records = { A: ['192.0.2.99'], MX: ['10 mx.example.net'] }
  const names = ['example.net', 'example.com', 'mx.example.net', 'client.example.net']
  const zone = Object.fromEntries(names.map(name => [name, records]))
  await startDnsServer(
    { ...zone, '9.113.0.203.in-addr.arpa': { PTR: ['client.example.net'] } },
    { port: 53 },
  )
  const started = new Set<string | number>()
  const isNew = (where: string | number) => !started.has(where) && started.add(where)
  const placeOf = (name: string, text: string) => {
    const port = /^inet:.*:(\d+)$/.exec(text)?.[1]
    return port ? Number(port) : path.resolve(`/var/spool/${name}`, text.replace(/^unix:/, ''))
  }
  for (const { name, sasl, policyServices } of instances) {
    for (const place of policyServices.map(text => placeOf(name, text)).filter(isNew)) {
      const other = policyStub('DUNNO')
      await (typeof place === 'string' ? other.listen(place) : listenOnLoopback(other, place))
    }
    for (const place of sasl.map(text => placeOf(name, text)).filter(isNew)) {
      await startPasswordServer(place)
      if (typeof place === 'string') fs.chmodSync(place, 0o666)
    }
  }
}

function checksums({ name }: SessionInstance): string[] {
  return ['main.cf', 'master.cf'].map(file =>
    createHash('sha256')
      .update(fs.readFileSync(`/etc/${name}/${file}`))
      .digest('hex'),
  )
}

/** master itself: `postfix start` takes seconds to look after files that are new here. */
async function start(instance: SessionInstance): Promise<void> {
  const program = execFileSync('postconf', ['-dh', 'daemon_directory'], { encoding: 'utf8' }).trim()
  const { status, stderr } = spawnSync(`${program}/master`, ['-w'], {
    encoding: 'utf8',
    env: { ...process.env, MAIL_CONFIG: `/etc/${instance.name}` },
  })
  if (status !== 0) throw new Error(`master -w: ${status} ${stderr}${log(instance)}`)
  for (const { port } of listening(instance)) await untilListening(port, instance)
}

const pidFileOf = ({ name }: SessionInstance): string => `/var/spool/${name}/pid/master.pid`

function masterOf(instance: SessionInstance): number {
  return Number(fs.readFileSync(pidFileOf(instance), 'utf8').trim())
}

async function stop(instance: SessionInstance): Promise<void> {
  if (!fs.existsSync(pidFileOf(instance))) return
  const pid = masterOf(instance)
  process.kill(pid, 'SIGTERM')
  const until = Date.now() + PATIENCE_MS
  while (fs.existsSync(`/proc/${pid}`) && Date.now() < until) await sleep(30)
}

function log({ name }: SessionInstance): string {
  const file = `/var/lib/mail-${name}.log`
  return fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : ''
}

interface Door {
  readonly service: string
  readonly port: number
  readonly isWrapped: boolean
  readonly isBehindProxy: boolean
}

function postconf({ name }: SessionInstance, ...argv: string[]): string {
  return execFileSync('postconf', ['-c', `/etc/${name}`, ...argv], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
}

function queueManagers(instance: SessionInstance): number {
  return postconf(instance, '-M').match(/^(?:\S+\s+){7}qmgr\b/gm)?.length ?? 0
}

/** Every TCP port at which an smtpd speaks in the end. */
function listening(instance: SessionInstance): Door[] {
  const show = (...argv: string[]) => postconf(instance, ...argv)
  if (/\binet\b/.test(show('-h', 'master_service_disable'))) return []
  return show('-M', '*/inet')
    .split(/^(?=\S)/m)
    .flatMap(entry => {
      const [address = '', , , , , , , program = ''] = entry.split(/\s+/)
      if (program !== 'smtpd' && program !== 'postscreen') return []
      const word = /:(\w+)$/.exec(address)?.[1] ?? address
      return [
        {
          service: program === 'smtpd' ? `${address}/inet` : 'smtpd/pass',
          port: PORTS[word] ?? Number(word),
          isWrapped: /smtpd_tls_wrappermode=yes/.test(entry),
          isBehindProxy: /upstream_proxy_protocol=haproxy/.test(entry),
        },
      ]
    })
}

async function untilListening(port: number, instance: SessionInstance): Promise<void> {
  const until = Date.now() + PATIENCE_MS
  for (;;) {
    const socket = net.connect(port, instance.isIPv6 ? '::1' : '127.0.0.1')
    const answer = await new Promise<boolean>(resolve => {
      socket.once('connect', () => resolve(true))
      socket.once('error', () => resolve(false))
    })
    socket.destroy()
    if (answer) return
    if (Date.now() > until) throw new Error(`nobody listens on ${port}\n${log(instance)}`)
    await sleep(50)
  }
}

type Requests = readonly Request[]

let serial = 0

async function visitAll(
  instance: SessionInstance,
  requests: Requests,
  isAfterwards = false,
): Promise<Visit[]> {
  const clients = isAfterwards ? (['outside'] as const) : (['outside', 'in mynetworks'] as const)
  const calls = listening(instance).flatMap(door =>
    clients.map(client => () => visit(instance, door, client, isAfterwards)),
  )
  const made = await Promise.all(calls.map(call => call())).catch(error => {
    throw new Error(`${error}\n${log(instance)}`)
  })
  await untilDelivered(instance)
  const said = log(instance)
  const about = (sender: string, reply: SmtpReply): Mail => {
    const all = requests.filter(request => request.get('sender') === sender)
    return {
      accepted: reply.code === 250,
      reply: `${reply.code} ${reply.text} (${reply.command})`,
      asked: all
        .filter(one => one.get('sasl_username'))
        .map(one => ({
          state: one.get('protocol_state') ?? '',
          count: Number(one.get('recipient_count')),
          user: one.get('sasl_username') ?? '',
        })),
      askedAgain: all.filter(one => !one.get('sasl_username')).length,
      isQueued: said.includes(`from=<${sender}>, size=`),
    }
  }
  return made.map(({ door, client, isLoggedIn, good, bad }) => ({
    service: door.service,
    port: door.port,
    client,
    isLoggedIn,
    mail: about(good.sender, good.reply),
    ...(bad ? { refused: about(bad.sender, bad.reply) } : {}),
  }))
}

async function visit(
  { byXclient, isIPv6 }: SessionInstance,
  door: Door,
  client: Visit['client'],
  isAfterwards: boolean,
) {
  const number = ++serial
  const isFrontEnd = byXclient === true && door.port !== 25
  const localAddress = isFrontEnd ? '192.168.203.7' : (isIPv6 ? ADDRESSES_6 : ADDRESSES)[client]
  const smtp = await connectSmtp({
    host: isIPv6 ? '::1' : '127.0.0.1',
    port: door.port,
    localAddress,
    tls: door.isWrapped,
    ...(door.isBehindProxy
      ? { proxyLine: `PROXY TCP4 ${localAddress} 192.0.2.10 40000 ${door.port}` }
      : {}),
  })
  try {
    let hello = await smtp.ehlo()
    if (isFrontEnd) {
      await smtp.xclient({ ADDR: ADDRESSES[client], LOGIN: USER })
      hello = await smtp.ehlo()
    }
    if (/^STARTTLS$/m.test(hello.text)) {
      await smtp.starttls()
      hello = await smtp.ehlo()
    }
    let isLoggedIn = isFrontEnd && /^AUTH /m.test(hello.text)
    if (!isLoggedIn && /^AUTH /m.test(hello.text)) {
      isLoggedIn = (await smtp.authPlain(USER, 'secret')).code === 235
    }
    const send = async (sender: string) => ({ sender, reply: await sendOne(smtp, sender) })
    const good = await send(`accepted-${number}@example.com`)
    const isAccepted = good.reply.code === 250 && isLoggedIn && !isAfterwards
    const bad = isAccepted ? await send(`refused-${number}@example.com`) : undefined
    return { door, client, isLoggedIn, good, bad }
  } catch (error) {
    const said = smtp.replies.map(({ code, text }) => `${code} ${text}`).join('\n')
    throw new Error(`${door.service} for ${client}: ${error}\n${said}`)
  } finally {
    smtp.close()
  }
}

async function sendOne(smtp: SmtpClient, sender: string): Promise<SmtpReply> {
  let reply = await smtp.mail(sender)
  if (reply.code !== 250) return reply
  for (const recipient of RECIPIENTS) {
    reply = await smtp.rcpt(recipient)
    if (reply.code !== 250) return reply
  }
  return smtp.data('Subject: test\n\nhello\n')
}

/** Until nothing is on its way any more, filters included. */
async function untilDelivered(instance: SessionInstance): Promise<void> {
  const spool = `/var/spool/${instance.name}`
  const isShared = queueManagers(instance) > 1
  const until = Date.now() + (isShared ? SHARED_QUEUE_MS : PATIENCE_MS)
  let pushAt = Date.now() + PUSH_AGAIN_MS
  const folders = ['incoming', 'active', 'deferred'].map(name => path.join(spool, name))
  const files = () =>
    folders.flatMap(folder =>
      fs.existsSync(folder) ? fs.readdirSync(folder, { recursive: true, withFileTypes: true }) : [],
    )
  for (let quiet = 0; quiet < 3; ) {
    quiet = files().some(file => file.isFile()) ? 0 : quiet + 1
    if (Date.now() > until) {
      if (isShared) return
      const stuck = files().map(file => path.join(path.basename(file.parentPath), file.name))
      throw new Error(`mail is stuck: ${stuck.join(' ')}\n${log(instance).slice(-20_000)}`)
    }
    if (Date.now() > pushAt) {
      pushAt = Date.now() + PUSH_AGAIN_MS
      // New queue managers take everything up again, and what is deferred is due now.
      process.kill(masterOf(instance), 'SIGHUP')
      spawnSync('postqueue', ['-c', `/etc/${instance.name}`, '-f'])
    }
    await sleep(100)
  }
}

/** Holds the session on a host, which is removed afterwards. */
export async function onHost(host: MailHost, session: Session): Promise<SessionReport> {
  try {
    const argv = [process.execPath, import.meta.filename, JSON.stringify(session)]
    // What one start has compiled the next one need not.
    const env = { NODE_COMPILE_CACHE: COMPILED }
    const { status, stdout, stderr } = await host.run(argv, { env })
    if (status !== 0) throw new Error(stderr)
    return JSON.parse(stdout)
  } finally {
    host.remove()
  }
}

export function userPasses({ isLoggedIn, mail }: Visit): boolean {
  return isLoggedIn && mail.accepted
}

if (process.argv[1] === import.meta.filename) {
  const session: Session = JSON.parse(process.argv[2] ?? '')
  fs.writeFileSync(1, JSON.stringify(await hold(session)))
  process.exit(0)
}
