/**
 * Which processes listen on this host, and where: /proc/net/tcp and tcp6 (proc(5)), and whose descriptors those
 * sockets are.
 *
 * A port that is in use stays with its owner. The administrator then needs to know which program that is,
 * and which port is free. Only root can see who owns a socket; without /proc no owner is named.
 */

import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { SocketAddress } from 'node:net'
import { endianness } from 'node:os'
import { basename } from 'node:path'
import type { Endpoint } from './endpoint.ts'

export type TcpEndpoint = Extract<Endpoint, { kind: 'tcp' }>

export interface HostListener {
  readonly host: string
  readonly port: number
  /** The inode of the socket, by which /proc/PID/fd names it. */
  readonly inode: string
}

export interface Owner {
  readonly name: string
  readonly pid: number
  /** The unit of systemd's to which the process belongs. */
  readonly unit: string | undefined
}

const LISTEN = '0A'

export function hostListeners(): HostListener[] {
  return ['tcp', 'tcp6'].flatMap(name => parseListeners(textOf(`/proc/self/net/${name}`)))
}

/** The lines of /proc/net/tcp and tcp6 that stand for a listening socket. */
export function parseListeners(text: string): HostListener[] {
  return text.split('\n').flatMap(line => {
    // sl local rem st queues timer retransmits uid timeout inode
    const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/)
    const [address = '', port = ''] = local.split(':')
    if (state !== LISTEN || !/^(?:.{8}|.{32})$/.test(address)) return []
    return [{ host: addressOf(address), port: Number.parseInt(port, 16), inode }]
  })
}

/** Words of 32 bits, each in the byte order of the machine. */
function addressOf(hex: string): string {
  const bytes = Buffer.from(hex, 'hex')
  if (endianness() === 'LE') bytes.swap32()
  if (bytes.length === 4) return bytes.join('.')
  const groups = Array.from({ length: 8 }, (_, at) => bytes.readUInt16BE(2 * at).toString(16))
  return new SocketAddress({ address: groups.join(':'), family: 'ipv6' }).address
}

const ALL = ['0.0.0.0', '::']

/** Do the two conflict? A wildcard conflicts with all addresses of its family; `::` may conflict with both families. */
export function excludes(a: Omit<TcpEndpoint, 'kind'>, b: Omit<TcpEndpoint, 'kind'>): boolean {
  if (a.port !== b.port) return false
  if (a.host === b.host || a.host === '::' || b.host === '::') return true
  const isOneFamily = a.host.includes(':') === b.host.includes(':')
  return isOneFamily && (ALL.includes(a.host) || ALL.includes(b.host))
}

/** The listeners that keep this endpoint from being bound. */
export function listenersInTheWay(endpoint: Omit<TcpEndpoint, 'kind'>): HostListener[] {
  return hostListeners().filter(listener => excludes(listener, endpoint))
}

/** The first of several processes that have the socket, which created it; systemd, which only holds it, is last. */
export function ownerOf(listeners: readonly HostListener[]): Owner | undefined {
  const wanted = new Set(listeners.map(({ inode }) => `socket:[${inode}]`))
  if (wanted.size === 0) return undefined
  const pids = namesIn('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(Number)
    .sort((a, b) => (a === 1 ? 1 : b === 1 ? -1 : a - b))
  const pid = pids.find(one => namesIn(`/proc/${one}/fd`).some(fd => isAt(one, fd, wanted)))
  if (pid === undefined) return undefined
  return { pid, name: nameOf(pid), unit: unitOf(pid) }
}

function isAt(pid: number, fd: string, wanted: ReadonlySet<string>): boolean {
  try {
    return wanted.has(readlinkSync(`/proc/${pid}/fd/${fd}`))
  } catch {
    return false
  }
}

/** What a Node process calls its main thread says nothing. */
function nameOf(pid: number): string {
  const name = textOf(`/proc/${pid}/comm`).trim()
  if (name !== '' && !name.endsWith('MainThread')) return name
  try {
    return basename(readlinkSync(`/proc/${pid}/exe`))
  } catch {
    return name || 'a program'
  }
}

function unitOf(pid: number): string | undefined {
  return /\/([^/\n]+\.service)(?:\/|$)/m.exec(textOf(`/proc/${pid}/cgroup`))?.[1]
}

/** `dovecot (process 812, dovecot.service)` */
export function describeOwner(owner: Owner | undefined): string {
  if (owner === undefined) return 'another program'
  const { name, pid, unit } = owner
  return `${name} (process ${pid}${unit === undefined ? '' : `, ${unit}`})`
}

/** The next port on which nobody listens, at any address; not a privileged one. */
export function freePortAfter(port: number): number | undefined {
  const taken = new Set(hostListeners().map(listener => listener.port))
  const first = port < 1024 ? 12345 : port + 1
  const end = Math.min(first + 1000, 65536)
  for (let candidate = first; candidate < end; candidate++) {
    if (!taken.has(candidate)) return candidate
  }
  return undefined
}

/** What to do about a port that is in use. */
export function anotherPort(port: number): string {
  const free = freePortAfter(port)
  return free === undefined ? '' : `; a free port: mtpolicyctl set mtpolicyd/port=${free}`
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function namesIn(path: string): string[] {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}
