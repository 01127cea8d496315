/**
 * The grammar of an SPF record (RFC 7208 4.5, 4.6.1, 5, 6 and 12).
 *
 * A record is parsed completely before anything in it is used, because a mistake anywhere makes all
 * of it invalid. Every mistake is an SpfSyntaxError that says what it is.
 */

import { parseIPv6 } from '../net/address.ts'
import { addressGroups, type Network } from '../net/network.ts'
import {
  excerpt,
  type MacroText,
  parseDomainSpec,
  parseMacroText,
  SpfSyntaxError,
} from './spf-macro.ts'

export type Qualifier = '+' | '-' | '~' | '?'

export type Mechanism =
  | { readonly kind: 'all' }
  | { readonly kind: 'include' | 'exists'; readonly domain: MacroText }
  | {
      readonly kind: 'a' | 'mx'
      /** Undefined: the domain whose record this is. */
      readonly domain: MacroText | undefined
      readonly bits4: number
      readonly bits6: number
    }
  | { readonly kind: 'ptr'; readonly domain: MacroText | undefined }
  | { readonly kind: 'ip4' | 'ip6'; readonly network: Network }

export interface Directive {
  readonly qualifier: Qualifier
  readonly mechanism: Mechanism
  /** As it is written, for messages. */
  readonly text: string
}

export interface SpfRecord {
  readonly directives: readonly Directive[]
  readonly redirect: MacroText | undefined
  readonly exp: MacroText | undefined
}

/** Is this text of a TXT record an SPF record? */
export function isSpfRecord(text: string): boolean {
  return /^v=spf1(?: |$)/i.test(text)
}

export function parseSpfRecord(text: string): SpfRecord {
  const directives: Directive[] = []
  const modifiers = new Map<string, MacroText>()
  for (const term of text.split(' ').slice(1)) {
    if (term === '') continue
    const modifier = /^([a-z][a-z\d._-]*)=(.*)$/is.exec(term)
    if (!modifier) {
      directives.push(parseDirective(term))
      continue
    }
    const [, written = '', value = ''] = modifier
    const name = written.toLowerCase()
    if (name !== 'redirect' && name !== 'exp') {
      // Unknown modifiers are ignored if they are well-formed.
      parseMacroText(value, 'explanation')
      continue
    }
    if (modifiers.has(name)) throw new SpfSyntaxError(`Modifier '${name}' appears twice`)
    modifiers.set(name, parseDomainSpec(value))
  }
  return { directives, redirect: modifiers.get('redirect'), exp: modifiers.get('exp') }
}

function parseDirective(term: string): Directive {
  const match = /^([-+~?]?)([a-z][a-z\d._-]*)(?:([:/])(.*))?$/is.exec(term)
  if (!match) throw new SpfSyntaxError(`Junk '${excerpt(term)}' in record`)
  const [, qualifier = '', name = '', separator = '', rest = ''] = match
  return {
    qualifier: qualifier === '-' || qualifier === '~' || qualifier === '?' ? qualifier : '+',
    mechanism: parseMechanism(name.toLowerCase(), separator + rest, term),
    text: excerpt(term),
  }
}

/** @param argument begins with its `:` or `/`, or is empty. */
function parseMechanism(kind: string, argument: string, term: string): Mechanism {
  const refuse = (): never => {
    throw new SpfSyntaxError(`'${excerpt(term)}' is not how mechanism '${kind}' is written`)
  }
  switch (kind) {
    case 'all':
      return argument === '' ? { kind } : refuse()
    case 'include':
    case 'exists':
      if (!argument.startsWith(':')) return refuse()
      return { kind, domain: parseDomainSpec(argument.slice(1)) }
    case 'ptr':
      if (argument === '') return { kind, domain: undefined }
      if (!argument.startsWith(':')) return refuse()
      return { kind, domain: parseDomainSpec(argument.slice(1)) }
    case 'a':
    case 'mx': {
      const [lengths = '', short, long] = /(?:\/(\d+))?(?:\/\/(\d+))?$/.exec(argument) ?? []
      const domain = argument.slice(0, argument.length - lengths.length)
      const bits4 = prefixLength(short, 32)
      const bits6 = prefixLength(long, 128)
      if (bits4 === undefined || bits6 === undefined) return refuse()
      if (domain === '') return { kind, domain: undefined, bits4, bits6 }
      if (!domain.startsWith(':')) return refuse()
      return { kind, domain: parseDomainSpec(domain.slice(1)), bits4, bits6 }
    }
    case 'ip4':
    case 'ip6': {
      const most = kind === 'ip4' ? 32 : 128
      const [, address = '', length] = /^:([^/%]+)(?:\/(\d+))?$/.exec(argument) ?? []
      const bits = prefixLength(length, most)
      const groups = kind === 'ip4' ? addressGroups(address) : parseIPv6(address)
      if (bits === undefined || groups?.length !== most / 16) return refuse()
      return { kind, network: { groups, bits } }
    }
    default:
      throw new SpfSyntaxError(`Unknown mechanism type '${excerpt(kind)}' in 'v=spf1' record`)
  }
}

/** Without leading zeros, at most `most`, which is also the default. */
function prefixLength(text: string | undefined, most: number): number | undefined {
  if (text === undefined) return most
  return /^(?:0|[1-9]\d{0,2})$/.test(text) && Number(text) <= most ? Number(text) : undefined
}
