/**
 * A DNS of which a test knows everything: names and their records, as the RFC 7208 test suite
 * writes them. CNAMEs are followed; a name that is TIMEOUT does not answer.
 *
 *   const dns = zones({ 'a.example.org': [{ TXT: 'v=spf1 -all' }, { MX: [10, 'mx.example.org'] }] })
 */

import { canonicalAddress } from '../../daemon/net/address.ts'
import type { DnsAnswer, DnsRecords, DnsType, Resolver } from '../../daemon/policy/ports/dns.ts'

export type ZoneRecord = 'TIMEOUT' | Readonly<Record<string, unknown>>
export type ZoneData = Readonly<Record<string, readonly ZoneRecord[]>>

export interface Zones extends Resolver {
  /** NAME TYPE, of every question. */
  readonly asked: string[]
}

/** @param later answers come in a promise, as from a network. */
export function zones(data: ZoneData, later = false): Zones {
  const asked: string[] = []
  const names = new Map(Object.entries(data).map(([name, list]) => [name.toLowerCase(), list]))

  function look(name: string, type: DnsType, aliases = 0): unknown[] | 'failed' {
    const found: unknown[] = []
    for (const record of names.get(name.toLowerCase().replace(/\.$/, '')) ?? []) {
      if (record === 'TIMEOUT') return found.length > 0 ? found : 'failed'
      if (record[type] !== undefined) found.push(value(record[type], type))
      else if (record.CNAME !== undefined) {
        if (aliases === 8) return 'failed'
        const target = look(String(record.CNAME), type, aliases + 1)
        if (target === 'failed') return target
        found.push(...target)
      }
    }
    return found
  }

  function answer<T extends DnsType>(name: string, type: T): DnsAnswer<T> {
    const records = look(name, type)
    if (records === 'failed') return { outcome: 'failed', records: [], problem: 'time-out' }
    if (records.length === 0) {
      return { outcome: 'empty', records: [], exists: names.has(name.toLowerCase()) }
    }
    // `value` made each of them for this type.
    return { outcome: 'found', records: records as DnsRecords[T][] }
  }

  return {
    asked,
    ask(name, type) {
      asked.push(`${name} ${type}`)
      const result = answer(name, type)
      return later ? new Promise(resolve => setImmediate(resolve, result)) : result
    },
    noListing: () => undefined,
  }
}

function value(written: unknown, type: DnsType): unknown {
  if (type === 'MX' && Array.isArray(written)) {
    return { preference: Number(written[0]), exchange: String(written[1]) }
  }
  if (type === 'TXT' && Array.isArray(written)) return written.join('')
  if (type === 'AAAA') return canonicalAddress(String(written)) ?? String(written)
  return String(written)
}
