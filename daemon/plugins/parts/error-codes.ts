/** The option `error_codes` of RBL and DBL: which answers of a DNS block list are not a listing. */

import { type Network, parseNetwork } from '../../net/network.ts'
import type { BlockList } from '../../policy/block-list.ts'
import { custom } from '../../policy/setting.ts'

interface ErrorCodes {
  /** As they are written. */
  readonly text: string
  readonly networks: readonly Network[]
}

/** @param fallback the codes that lists of this kind are known to use. */
export function errorCodes(fallback: string) {
  return custom('addresses or networks in 127.0.0.0/8, such as 127.255.255.0/24', parseCodes, {
    doc: 'Answers of the list that are not a listing.',
    fallback: parseCodes(fallback) ?? { text: '', networks: [] },
  })
}

/** Undefined if one of them cannot be read. */
function parseCodes(text: string): ErrorCodes | undefined {
  const words = text.split(/[\s,]+/).filter(word => word !== '')
  const networks = words.flatMap(word => (word.startsWith('127.') && parseNetwork(word)) || [])
  return networks.length === words.length ? { text, networks } : undefined
}

export function blockList(domain: string, { networks }: ErrorCodes): BlockList {
  return { zone: domain.replace(/\.$/, '').toLowerCase(), errorCodes: networks }
}
