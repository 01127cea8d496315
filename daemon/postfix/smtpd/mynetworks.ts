/**
 * Which clients Postfix trusts without a login: mynetworks, or what mynetworks_style derives from
 * the interfaces on which it listens. Files and cidr tables in the list are read; other tables are
 * skipped.
 */

import fs from 'node:fs'
import { ownInterfaces } from '../../net/own-interfaces.ts'
import { lineAt, logicalLines } from './logical-lines.ts'
import type { Parameters } from './parameters.ts'
import { tokenise } from './restriction-list.ts'

export interface TrustedNetwork {
  readonly network: string
  /** The file and line that contain it, if it comes from a file named in the list. */
  readonly place?: { readonly file: string; readonly line: number }
}

/** The networks in mynetworks that are larger than an organisation's own. */
export function wideNetworks(parameters: Parameters): TrustedNetwork[] {
  return trusted(parameters).filter(({ network }) => isWide(network))
}

function trusted(parameters: Parameters): TrustedNetwork[] {
  if (parameters.setting('mynetworks').origin !== 'default') {
    return tokenise(parameters.value('mynetworks')).flatMap(({ text }) => networksIn(text))
  }
  return byStyle(parameters).map(network => ({ network }))
}

function networksIn(text: string): TrustedNetwork[] {
  if (text.startsWith('!')) return []
  const table = /^(?:cidr|texthash):(.*)$/.exec(text)?.[1]
  const file = text.startsWith('/') ? text : table
  return file === undefined ? [{ network: text }] : inFile(file)
}

function inFile(file: string): TrustedNetwork[] {
  let text: string
  try {
    text = fs.readFileSync(file, 'latin1')
  } catch {
    return []
  }
  return logicalLines(text).flatMap(([first]) => {
    if (!first) return []
    const [network = ''] = text
      .slice(first.start, first.contentEnd)
      .trim()
      .split(/[\s,]+/)
    return network.startsWith('!')
      ? []
      : [{ network, place: { file, line: lineAt(text, first.start) } }]
  })
}

/** `host`, `class` or `subnet`, of the interfaces that inet_interfaces names. */
function byStyle(parameters: Parameters): string[] {
  const style = parameters.value('mynetworks_style').toLowerCase()
  if (style === 'host') return []
  const interfaces = parameters
    .value('inet_interfaces')
    .toLowerCase()
    .split(/[\s,]+/)
  const isAll = interfaces.includes('all')
  const isUsed = (address: string, internal: boolean) =>
    isAll ||
    (interfaces.includes('loopback-only') && internal) ||
    interfaces.some(one => one.replace(/^\[(.*)\]$/, '$1') === address)
  return ownInterfaces()
    .filter(({ address, internal }) => isUsed(address, internal))
    .flatMap(({ address, cidr, family }) => {
      if (style !== 'class') return cidr ?? []
      if (family !== 'IPv4') return []
      const first = Number(address.split('.')[0])
      return `${address}/${first < 128 ? 8 : first < 192 ? 16 : 24}`
    })
}

/**
 * Postfix's own syntax, not that of net/network.ts: IPv6 in brackets, no netmasks, and whatever
 * else is written matches nothing.
 *
 * Public: more than 256 addresses (IPv6: more than a /48). Private: all of 10.0.0.0/8.
 */
function isWide(network: string): boolean {
  const [, v6, v4, length] = /^(?:\[([0-9a-f:.]+)\]|([\d.]+))(?:\/(\d+))?$/i.exec(network) ?? []
  if (v4 !== undefined) {
    const bits = Number(length ?? 32)
    const [a = 0, b = 0] = v4.split('.').map(Number)
    if (a === 127) return bits < 8
    const isPrivate =
      a === 10 ||
      (a === 172 && b >= 16 && b < 32) ||
      (a === 192 && b === 168) ||
      (a === 169 && b === 254)
    return bits < (isPrivate ? 9 : 24)
  }
  if (v6 === undefined) return false
  const bits = Number(length ?? 128)
  if (/^::ffff:127\./i.test(v6)) return bits < 104
  if (/^(?:fe[89ab]|f[cd])/i.test(v6)) return bits < 8
  return bits < 48
}
