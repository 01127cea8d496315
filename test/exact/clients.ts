/** Mail clients as they are: several messages on a connection, refused recipients, RSET, hanging up in every place. */

import { setTimeout as sleep } from 'node:timers/promises'
import type { PostfixRig } from '../support/postfix-rig.ts'
import { connectSmtp, type SmtpClient } from '../support/smtp-client.ts'
import { LOGINS } from './policy.ts'

/** Nobody else is unknown. */
export const UNKNOWN = 'unknown@example.net'

const MOST_RECIPIENTS = 10
const MOST_MESSAGES = 5

type Ending = 'DATA' | 'BDAT' | 'RSET' | 'hang up' | 'hang up in the message' | 'no goodbye'

/** In per cent, one after the other. */
const ENDINGS: readonly (readonly [Ending, number])[] = [
  ['DATA', 50],
  ['BDAT', 28],
  ['RSET', 8],
  ['hang up', 5],
  ['hang up in the message', 5],
  ['no goodbye', 4],
]

/** What the milter says at the end (support/milter.ts, by the subject), in per cent, and Postfix's reply. */
const SUBJECTS = [
  ['reject', 4, 550],
  ['tempfail', 1, 451],
  ['accept', 95, 250],
] as const

export interface Clients {
  /** One client after the other, until enough recipients were accepted. */
  run(): Promise<void>
  /** A tenth of the recipients was accepted. */
  readonly tenth: Promise<void>
  readonly messages: number
  /** Messages that were refused at their end by a limit, by login. */
  readonly refused: ReadonlyMap<string, number>
  /** Messages that the milter refused, as far as their clients waited for it. */
  readonly filtered: number
  /** How the messages ended, by the client's intention. */
  readonly endings: Readonly<Record<string, number>>
}

/** @param recipients accepted by Postfix at RCPT; then it is over */
export function mailClients(rig: PostfixRig, recipients: number, seed: number): Clients {
  const below = randomSource(seed)
  const endings: Record<string, number> = {}
  const refused = new Map<string, number>()
  const { promise: tenth, resolve: reachTenth } = Promise.withResolvers<void>()
  const told = { accepted: 0, messages: 0, filtered: 0, address: 0 }

  function oneOf<Choice extends readonly [unknown, number, ...unknown[]]>(
    choices: readonly Choice[],
  ): Choice {
    let rest = below(100)
    const found = choices.find(([, share]) => {
      rest -= share
      return rest < 0
    })
    if (!found) throw new Error('the shares are less than 100')
    return found
  }

  /** How many recipients Postfix has taken. */
  async function recipientsOf(client: SmtpClient): Promise<number> {
    const count = 1 + below(MOST_RECIPIENTS)
    let taken = 0
    for (let i = 0; i < count; i++) {
      const isKnown = below(10) > 0
      const reply = await client.rcpt(isKnown ? `to${told.address++}@example.net` : UNKNOWN)
      if (reply.code === 250) taken++
    }
    told.accepted += taken
    if (told.accepted >= recipients / 10) reachTenth()
    return taken
  }

  /** One message; false: the connection is gone. */
  async function message(client: SmtpClient, login: string): Promise<boolean> {
    await client.mail(`${login.split('@')[0]}@example.org`)
    const taken = await recipientsOf(client)
    const [how] = oneOf(ENDINGS)
    endings[how] = (endings[how] ?? 0) + 1
    told.messages++
    if (how === 'RSET' || taken === 0) {
      await client.rset()
      return true
    }
    if (how === 'hang up') return false
    if (how === 'hang up in the message') {
      await client.command('DATA')
      client.write('Subject: half of it\r\n\r\nhel')
      return false
    }
    const [subject, , expected] = oneOf(SUBJECTS)
    const text = `Subject: ${subject}\r\n\r\n${'hello '.repeat(below(200))}\r\n`
    if (how === 'no goodbye') {
      await client.command('DATA')
      client.write(`${text}.\r\n`)
      // Postfix has the end of the message, and nobody waits for what it says.
      await sleep(5)
      return false
    }
    const last = how === 'BDAT' ? await client.bdat(text) : await client.data(text)
    if (last.code === 554) refused.set(login, (refused.get(login) ?? 0) + 1)
    else if (last.code !== expected) throw new Error(`${how}: ${last.code} ${last.text}`)
    else if (subject !== 'accept') told.filtered++
    return true
  }

  return {
    endings,
    refused,
    tenth,
    get messages() {
      return told.messages
    },
    get filtered() {
      return told.filtered
    },
    async run() {
      while (told.accepted < recipients) {
        const client = await connectSmtp({ port: rig.ports.submission, timeoutMs: 200_000 })
        const login = LOGINS[below(LOGINS.length)] ?? ''
        await client.ehlo()
        const reply = await client.authPlain(login, rig.password)
        if (reply.code !== 235) throw new Error(`${reply.code} ${reply.text}`)
        let isOpen = true
        for (let i = 1 + below(MOST_MESSAGES); isOpen && i > 0; i--) {
          isOpen = await message(client, login)
        }
        if (isOpen) await client.quit()
        else client.close()
      }
    },
  }
}

/** xorshift32: a whole number from 0 to limit - 1. */
function randomSource(seed: number): (limit: number) => number {
  let state = seed | 1
  return limit => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % limit
  }
}
