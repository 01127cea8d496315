/** Accounts that an administrator has blocked, as conditions: ordered is raised, released is cleared. */

import type { Block } from '../policy/ports/measures.ts'
import { oneLine } from '../policy/verdict.ts'
import { blockWords } from './account-words.ts'
import type { Edges } from './edges.ts'

const KIND = 'account-blocked'
const MOST_CHARACTERS = 256

/** `blocks`: all that are in force. */
export function lookAtBlocks(edges: Edges, blocks: Iterable<Block>): void {
  const inForce = new Set<string>()
  for (const block of blocks) {
    const [account, by, why] = [block.account, block.by, block.why].map(own)
    if (account === undefined || by === undefined || why === undefined) continue
    const key = `${account}\n${block.at}`
    inForce.add(key)
    if (edges.of({ kind: KIND, key })) continue
    edges.raise({
      kind: KIND,
      key,
      severity: 'warning',
      account,
      ...blockWords(account, by, why),
      facts: { by, why },
    })
  }
  for (const alert of [...edges.all.values()]) {
    if (alert.kind === KIND && !inForce.has(alert.key)) edges.clear(alert)
  }
}

function own(text: string): string {
  return oneLine(text).slice(0, MOST_CHARACTERS).toWellFormed()
}
