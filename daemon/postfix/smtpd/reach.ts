/**
 * What a policy item reaches when a certain smtpd connects: our daemon, another server, or,
 * although the item is meant for us, nothing.
 */

import fs from 'node:fs'
import { isIPv6 } from 'node:net'
import path from 'node:path'
import { canonicalAddress } from '../../net/address.ts'
import { isLoopbackAddress, reachableAddress } from '../../net/loopback.ts'
import type { Words } from '../../policy/finding.ts'
import { formatListener, type Listener, protocolsOf } from './endpoint.ts'
import type { PostfixInstance, SmtpdService } from './instance.ts'
import type { Network } from './network.ts'
import type { PolicyItem } from './policy-item.ts'

export type Miss = 'unresolvable-host' | 'socket-unreachable' | 'wrong-endpoint'

export type Reach =
  | { readonly kind: 'ours' }
  | { readonly kind: 'missed'; readonly id: Miss; readonly why: Words; readonly remedy?: Words }
  | { readonly kind: 'other' }

export interface Target {
  readonly listeners: readonly Listener[]
  /** Former ports of the daemon: an item for one of them on this host is meant for us. */
  readonly formerPorts: readonly number[]
  /** Does any process on this host listen there? Absent: not known, and assumed not to be so. */
  readonly isListening?: (address: string, port: number) => boolean
}

const OTHER = { kind: 'other' } as const

/** The default port. If nothing listens there, an item for it is meant for us. */
const DEFAULT_PORT = 12_345

export function reachOf(
  { server }: PolicyItem,
  target: Target,
  {
    instance,
    service,
    network,
  }: {
    readonly instance: PostfixInstance
    readonly service: SmtpdService
    readonly network: Network
  },
): Reach {
  const missed = (id: Miss, why: Words): Reach => ({ kind: 'missed', id, why })
  const where = target.listeners.map(formatListener)
  const elsewhere: Words = {
    en: `the daemon listens on ${where.join(' and ')}, not there`,
    de: `der Dienst lauscht auf ${where.join(' und ')}, nicht dort`,
  }
  if (server.kind === 'unix') return unixReach(server.path, target, instance, service)

  const port = network.portOf(service, server.port)
  const inet = target.listeners.flatMap(listener => (listener.kind === 'inet' ? [listener] : []))
  const isOurPort = inet.some(listener => listener.port === port)
  const addresses = network.addressesOf(service, server.host).map(connected)
  const protocols = protocolsOf(service.parameters.value('inet_protocols'))
  const usable = addresses.filter(address => protocols.includes(isIPv6(address) ? 'ipv6' : 'ipv4'))
  const here = inet.filter(listener => listener.port === port)
  const isOurs = (address: string) =>
    here.some(listener => answers(listener.address, address, network))
  // getaddrinfo(3) returns IPv6 first; smtpd connects to the first address at which something
  // listens.
  const inOrder = usable.toSorted((a, b) => Number(isIPv6(b)) - Number(isIPv6(a)))
  const first = inOrder.find(address => isOurs(address) || target.isListening?.(address, port))
  const isHit =
    here.some(({ address }) => address.toLowerCase() === server.host.toLowerCase()) ||
    (first !== undefined && isOurs(first))
  if (isHit && (usable.length > 0 || addresses.length === 0)) return { kind: 'ours' }
  if (!isOurPort) {
    const isDead = () => !usable.some(address => target.isListening?.(address, port))
    const isMeant = target.formerPorts.includes(port) || (port === DEFAULT_PORT && isDead())
    if (!isMeant || !addresses.some(isLoopbackAddress)) return OTHER
    return missed('wrong-endpoint', elsewhere)
  }
  if (addresses.length === 0) {
    const [en, de] = service.isChrooted ? ['in its chroot', 'im Chroot'] : ['on this host', 'hier']
    return missed('unresolvable-host', {
      en: `the name ${server.host} is unknown ${en}`,
      de: `der Name ${server.host} ist ${de} unbekannt`,
    })
  }
  if (!addresses.some(address => network.isThisHost(address))) return OTHER
  if (usable.length === 0) {
    const by = protocols.includes('ipv6') ? 'IPv6' : 'IPv4'
    return missed('wrong-endpoint', {
      en: `it connects over ${by} only (inet_protocols)`,
      de: `es verbindet sich nur über ${by} (inet_protocols)`,
    })
  }
  return missed('wrong-endpoint', elsewhere)
}

/** Where a connection to such an address ends up: Linux treats a wildcard as this host. */
function connected(address: string): string {
  return reachableAddress(canonicalAddress(address) ?? address)
}

/** Does a process that listens on `listener` get a connection to `address`? */
function answers(listener: string, address: string, network: Network): boolean {
  if (listener === address || (isIPv6(listener) && sameIPv6(listener, address))) return true
  const wildcard = isIPv6(address) ? '::' : '0.0.0.0'
  return listener === wildcard && network.isThisHost(address)
}

function sameIPv6(a: string, b: string): boolean {
  return isIPv6(b) && new URL(`http://[${a}]`).hostname === new URL(`http://[${b}]`).hostname
}

/** A chrooted smtpd resolves an absolute path inside its queue directory, too. */
function unixReach(
  written: string,
  { listeners }: Target,
  { queueDirectory, parameters }: PostfixInstance,
  { isChrooted }: SmtpdService,
): Reach {
  const paths = listeners.flatMap(listener => (listener.kind === 'unix' ? [listener.path] : []))
  const isBelow = !path.isAbsolute(written) || isChrooted
  const seen = isBelow ? path.join(queueDirectory, written) : written
  const isHit = paths.some(own => own === seen || sameFile(own, seen))
  if (!isHit) {
    const isMeant = paths.includes(written) || path.basename(written).includes('mtpolicyd')
    if (!isMeant) return OTHER
    const why: Words = fs.existsSync(seen)
      ? {
          en: `the daemon does not listen on ${seen}`,
          de: `der Dienst lauscht nicht auf ${seen}`,
        }
      : { en: `${seen} does not exist`, de: `${seen} existiert nicht` }
    const own = path.join(queueDirectory, 'private/mtpolicyd')
    return {
      kind: 'missed',
      id: 'socket-unreachable',
      why,
      remedy: {
        en: `make the daemon listen on ${own}, and refer to it here as unix:private/mtpolicyd`,
        de: `den Dienst auf ${own} lauschen lassen und hier unix:private/mtpolicyd eintragen`,
      },
    }
  }
  const found = unusable(seen, parameters.value('mail_owner'))
  return found === undefined
    ? { kind: 'ours' }
    : { kind: 'missed', id: 'socket-unreachable', ...found }
}

function sameFile(a: string, b: string): boolean {
  try {
    return fs.realpathSync(a) === fs.realpathSync(b)
  } catch {
    return false
  }
}

interface Unusable {
  readonly why: Words
  readonly remedy?: Words
}

/**
 * What keeps Postfix's user from connecting: a directory it may not enter, a socket it may not
 * write to.
 */
function unusable(socket: string, user: string): Unusable | undefined {
  const who = identity(user)
  try {
    for (let folder = path.dirname(socket); folder !== '/'; folder = path.dirname(folder)) {
      if (may(fs.statSync(folder), who, 1)) continue
      const command = `chmod o+x ${folder}`
      return {
        why: {
          en: `the user ${user} may not enter the directory ${folder}`,
          de: `der Benutzer ${user} darf das Verzeichnis ${folder} nicht betreten`,
        },
        remedy: { en: command, de: command },
      }
    }
    if (!may(fs.statSync(socket), who, 2)) {
      const command = `chmod o+rw ${socket}`
      return {
        why: {
          en: `the user ${user} may not write to ${socket}`,
          de: `der Benutzer ${user} darf nicht auf ${socket} schreiben`,
        },
        remedy: { en: command, de: command },
      }
    }
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    return { why: { en: text, de: text } }
  }
  return undefined
}

interface Identity {
  readonly uid: number
  readonly gids: readonly number[]
}

function may({ mode, uid, gid }: fs.Stats, who: Identity, bit: 1 | 2): boolean {
  const shift = uid === who.uid ? 6 : who.gids.includes(gid) ? 3 : 0
  return ((mode >> shift) & bit) !== 0
}

function identity(user: string): Identity {
  const lines = (file: string) => fs.readFileSync(file, 'utf8').split('\n')
  const entry = lines('/etc/passwd')
    .find(line => line.startsWith(`${user}:`))
    ?.split(':')
  const groups = lines('/etc/group').flatMap(line => {
    const [, , gid, members = ''] = line.split(':')
    return members.split(',').includes(user) ? [Number(gid)] : []
  })
  return { uid: Number(entry?.[2] ?? -1), gids: [Number(entry?.[3] ?? -1), ...groups] }
}
