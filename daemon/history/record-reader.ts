/**
 * Reads the records of the spool (spool-format.ts), field by field. The caller has checked the frame, so what
 * is read beyond a record's end is a bug of the daemon that wrote it: RangeError.
 */

import type { FactValue } from '../policy/facts.ts'
import type { Gap, Refusal, SeenMessage, SeenStep } from '../policy/ports/history.ts'
import { dunno } from '../policy/verdict.ts'
import type { Why } from '../policy/verdict-record.ts'
import {
  FALSE_FACT,
  FLAGS,
  IS_DUNNO,
  NUMBER_FACT,
  RECORD_HEAD,
  TEXT_FACT,
  TEXTS,
} from './spool-format.ts'

/** Which of a message's texts is the client's address. */
const CLIENT = 2
const CAPITAL_A = 65
const LETTERS = 26
/** AA to ZZ: a text that is there already takes nothing. */
const COUNTRIES = Array.from({ length: LETTERS * LETTERS }, (_, i) =>
  String.fromCharCode(CAPITAL_A + Math.floor(i / LETTERS), CAPITAL_A + (i % LETTERS)),
)

type Facts = Record<string, FactValue | undefined>

/** The texts of a message, from the one that begins at `at` to the next. */
class Texts {
  readonly #bytes: Buffer
  at: number

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes
    this.at = at
  }

  short(): string {
    return this.#text(this.at + 1, this.#bytes.readUInt8(this.at))
  }

  long(): string {
    return this.#text(this.at + 2, this.#bytes.readUInt16LE(this.at))
  }

  float(): number {
    this.at += 8
    return this.#bytes.readDoubleLE(this.at - 8)
  }

  count(): number {
    this.at += 4
    return this.#bytes.readUInt32LE(this.at - 4)
  }

  facts(): Facts {
    const facts: Facts = {}
    for (let left = this.#byte(); left > 0; left--) {
      const name = this.short()
      const kind = this.#byte()
      if (kind === NUMBER_FACT) facts[name] = this.float()
      else if (kind === TEXT_FACT) facts[name] = this.long()
      else facts[name] = kind !== FALSE_FACT
    }
    return facts
  }

  #byte(): number {
    return this.#bytes.readUInt8(this.at++)
  }

  #text(from: number, length: number): string {
    if (from + length > this.#bytes.length) throw new RangeError('a text is cut off')
    this.at = from + length
    return this.#bytes.toString('utf8', from, from + length)
  }
}

/** Where the bytes of a verdict's account begin and end. */
export function accountOf(bytes: Buffer, record: number): { from: number; end: number } {
  const from = record + RECORD_HEAD + 2
  return { from, end: from + bytes.readUInt16LE(from - 2) }
}

/** Where the message of a verdict begins, whose account ends at `accountEnd`. */
export function messageAt(bytes: Buffer, accountEnd: number): number {
  return accountEnd + 1 + bytes.readUInt8(accountEnd)
}

/** Where the bytes of a message's instance begin and end. */
export function instanceOf(bytes: Buffer, message: number): { from: number; end: number } {
  const from = message + TEXTS + 1
  return { from, end: from + bytes.readUInt8(from - 1) }
}

/** Where a message ends. */
export function endOfMessage(bytes: Buffer, message: number): number {
  let at = message + TEXTS
  for (let text = 0; text < 6; text++) at += 1 + bytes.readUInt8(at)
  const isDunno = (bytes.readUInt8(message + FLAGS) & IS_DUNNO) !== 0
  return isDunno ? at : at + 2 + bytes.readUInt16LE(at)
}

export interface Origin {
  readonly instance: string
  readonly queueId: string
  readonly client: string
  readonly country: string
  readonly by: string
  readonly code: string
}

function textsOf(texts: Texts): Origin {
  const [instance, queueId, client] = [texts.short(), texts.short(), texts.short()]
  const [country, by, code] = [texts.short(), texts.short(), texts.short()]
  return { instance, queueId, client, country, by, code }
}

export function originOf(bytes: Buffer, message: number): Origin {
  return textsOf(new Texts(bytes, message + TEXTS))
}

/** The origin of a whole record of kind REFUSED, alone in its buffer. */
export function originOfRefusal(bytes: Buffer): Origin {
  return originOf(bytes, messageAt(bytes, accountOf(bytes, 0).end))
}

/** Two capital letters; empty: not known. */
export function countryOf(bytes: Buffer, message: number): string {
  const client = clientAt(bytes, message)
  const at = client + 1 + bytes.readUInt8(client)
  if (bytes[at] !== 2) return ''
  const [one, other] = [(bytes[at + 1] ?? 0) - CAPITAL_A, (bytes[at + 2] ?? 0) - CAPITAL_A]
  const areLetters = one >= 0 && one < LETTERS && other >= 0 && other < LETTERS
  return areLetters ? (COUNTRIES[one * LETTERS + other] ?? '') : ''
}

/** Where the text with the client's address begins; after it comes the country. */
export function clientAt(bytes: Buffer, message: number): number {
  let at = message + TEXTS
  for (let text = 0; text < CLIENT; text++) at += 1 + bytes.readUInt8(at)
  return at
}

export function readMessage(bytes: Buffer, message: number): SeenMessage {
  return messageOf(bytes, new Texts(bytes, message))
}

function messageOf(bytes: Buffer, texts: Texts): SeenMessage {
  const [at, recipients, size] = [texts.float(), texts.count(), texts.float()]
  const flags = bytes.readUInt8(texts.at++)
  const some = textsOf(texts)
  const action = (flags & IS_DUNNO) !== 0 ? dunno : texts.long()
  return { at, recipients, bytes: size, ...some, action }
}

/** A whole record of kind REFUSED, alone in its buffer. `account`: as it is kept now. */
export function readRefusal(bytes: Buffer, steps: Buffer | undefined): Refusal {
  const { from, end } = accountOf(bytes, 0)
  const texts = new Texts(bytes, messageAt(bytes, end))
  const { instance, queueId, client, ...message } = messageOf(bytes, texts)
  // Written from a VerdictRecord.
  const [host, why] = [texts.short(), texts.short() as Why]
  const facts = texts.facts()
  const attributes: Record<string, string> = {}
  while (texts.at < bytes.length) attributes[texts.short()] = texts.long()
  const account = bytes.toString('utf8', from, end)
  return {
    ...message,
    account,
    host,
    why,
    facts,
    attributes,
    steps: steps && readSteps(steps).steps,
  }
}

/** A whole record of kind EXPLAINED, alone in its buffer. */
export function readSteps(bytes: Buffer): { code: string; steps: SeenStep[] } {
  const texts = new Texts(bytes, RECORD_HEAD)
  const code = texts.short()
  const steps: SeenStep[] = []
  while (texts.at < bytes.length) {
    const [plugin, module] = [texts.short(), texts.short()]
    const [outcome, place] = [texts.long(), texts.long()]
    steps.push({ plugin, module, outcome, place, saw: texts.facts() })
  }
  return { code, steps }
}

/** A record of kind MISSED. */
export function readMissed(bytes: Buffer, record: number): Gap {
  const texts = new Texts(bytes, record + RECORD_HEAD)
  const [from, to, missing] = [texts.float(), texts.float(), texts.count()]
  return { from, to, missing, why: texts.long() }
}
