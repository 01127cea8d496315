/**
 * This host, as operators and other programs write it: loopback addresses, `localhost` and what
 * `/etc/hosts` calls them, and the wildcards that stand for every address.
 */

import { addressKind } from './address.ts'

/** What "localhost" means here: both, because a resolver's first answer is only one of them. */
export const LOOPBACKS: readonly string[] = ['127.0.0.1', '::1']

/** 127.0.0.0/8 and ::1, also written as an IPv4-mapped IPv6 address. */
export function isLoopbackAddress(text: string): boolean {
  return addressKind(text) === 'loopback'
}

const ALIASES = ['localhost', 'localhost.localdomain', 'ip6-localhost', 'ip6-loopback']

export function isLocalhost(name: string): boolean {
  return name.toLowerCase() === 'localhost'
}

/** A loopback address, or a name that stands for one on every Linux host. */
export function isLoopbackHost(host: string): boolean {
  return isLoopbackAddress(host) || ALIASES.includes(host.toLowerCase())
}

/**
 * The addresses a server listens on for a host as it is written; a name stays what it is.
 * `versions` narrows or widens that to versions of IP: `4`, `6`, `*` for both, `46`. Nothing is
 * left where the host is an address of the other version.
 */
export function listenAddresses(host: string, versions = ''): readonly string[] {
  const plain = host.replace(/^\[(.*)\]$/, '$1')
  const isWanted = (version: string): boolean =>
    versions === '' || versions.includes('*') || versions.includes(version)
  if (isLocalhost(plain)) return LOOPBACKS.filter(one => isWanted(versionOf(one)))
  if (plain === '*' || plain === '') {
    if (versions === '') return ['0.0.0.0']
    return ['0.0.0.0', '::'].filter(one => isWanted(versionOf(one)))
  }
  const isAddress = addressKind(plain) !== undefined
  return isAddress && !isWanted(versionOf(plain)) ? [] : [plain]
}

function versionOf(address: string): string {
  return address.includes(':') ? '6' : '4'
}

/** A wildcard cannot be connected to: the loopback of its family can. */
export function reachableAddress(address: string): string {
  if (address === '0.0.0.0') return '127.0.0.1'
  return address === '::' ? '::1' : address
}
