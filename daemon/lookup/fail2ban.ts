/**
 * A client of fail2ban-server that speaks as fail2ban-client does, through a socket: a pickled list of
 * words and an end mark, answered by a pickled pair of 0 or 1 and a result.
 *
 * Bans are sent one after the other, each over a connection of its own: the backlog of fail2ban's
 * socket is short, and a restart of it needs no special treatment. Only as much of pickle is
 * implemented as is needed.
 */

import { PeerConnection } from '../net/peer-connection.ts'
import type { Jailer } from '../policy/ports/peers.ts'
import { LookupError } from '../system/errors.ts'

const END_MARK = '<F2B_END_COMMAND>'
const END_OF_REPLY = new RegExp(END_MARK)
/** Counted from the call, so that bans do not add up their waits for a silent server. */
const LONGEST_MS = 2000
const MOST_WAITING = 1000

export function jailer(path: string): Jailer {
  let last: Promise<void> = Promise.resolve()
  let waiting = 0

  async function send(words: readonly string[], signal: AbortSignal): Promise<void> {
    const connection = new PeerConnection({ path }, path)
    try {
      connection.write(pickle(words) + END_MARK, 'latin1')
      const reply = await connection.read(END_OF_REPLY, signal)
      if (!isSuccess(reply)) throw new LookupError(`${path}: ${readableParts(reply)}`)
    } finally {
      connection.close()
    }
  }

  return {
    async ban(jail, address, signal) {
      if (waiting >= MOST_WAITING) throw new LookupError(`${path}: ${waiting} bans are waiting`)
      waiting++
      const limit = AbortSignal.any([signal, AbortSignal.timeout(LONGEST_MS)])
      const ban = last.then(() => send(['set', jail, 'banip', address], limit))
      last = ban.catch(() => undefined)
      try {
        await ban
      } finally {
        waiting--
      }
    },
  }
}

/**
 * A list of texts in pickle's protocol 2, byte for byte as Python writes it; the result is latin1.
 * Each object is numbered when it appears ("q"), a text is "X" and its length in four bytes.
 */
function pickle(words: readonly string[]): string {
  const items = words.map((word, index) => {
    const bytes = Buffer.from(word)
    const length = Buffer.alloc(4)
    length.writeUInt32LE(bytes.length)
    return `X${length.toString('latin1')}${bytes.toString('latin1')}q${String.fromCharCode(index + 1)}`
  })
  return `\x80\x02]q\0(${items.join('')}e.`
}

/** A pickled tuple or list that begins with the number 0; protocol 4 has a frame around it. */
function isSuccess(reply: string): boolean {
  return /^\x80.(?:\x95.{8})?(?:\]\x94)?\(?K\0/s.test(reply)
}

/** A pickled Python exception has its names and texts in plain view: enough for an operator. */
function readableParts(reply: string): string {
  const parts = reply.replace(END_MARK, '').match(/[\x20-\x7e]{4,}/g) ?? ['refused']
  return parts.join(' ').slice(0, 200)
}
