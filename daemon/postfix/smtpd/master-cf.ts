/**
 * master.cf as text: its services, and the `-o` options of each with their positions in the file.
 *
 * Read from the file itself, because `postconf -M` and `-P` garble what smtpd understands:
 * `-oNAME=VALUE` without a space, and the options of a service that is defined twice. Words are
 * separated by white space, `{ … }` is one word; options are read as getopt(3) does. Of two entries
 * for one service the last counts (master(8)).
 *
 * Text is one character per byte. Nothing is read or written here.
 */

import { type Line, lineAt, logicalLines } from './logical-lines.ts'

export interface ServiceOption {
  readonly name: string
  readonly value: string
  readonly line: number
  /** Position of the value in the file, without surrounding white space. */
  readonly start: number
  readonly end: number
  /** Written as `-o { name = value }`, where a value may contain spaces. */
  readonly isBraced: boolean
}

export interface MasterService {
  /** `submission/inet` */
  readonly name: string
  /**
   * First column: a port, a service name, or ADDRESS:PORT; for unix sockets, a path below the queue
   * directory.
   */
  readonly address: string
  readonly type: string
  /** As written: y, n or -. */
  readonly chroot: string
  readonly program: string
  readonly line: number
  /** Each as it stands in the file; of several for one parameter the last counts. */
  readonly options: readonly ServiceOption[]
  /** A word that smtpd does not understand: it does not start. */
  readonly strayWord: string | undefined
  /** After its last character with content. */
  readonly end: number
}

interface Word {
  readonly text: string
  /** Position of each character in the file. */
  readonly offsets: readonly number[]
}

/** Services in the order of the file; of two at one address only the last is included. */
export function readServices(text: string): MasterService[] {
  const found = logicalLines(text).flatMap(lines => asService(text, lines) ?? [])
  return [...new Map(found.map(service => [addressKey(service), service])).values()]
}

/** The names of services that are defined more than once, each as its last entry has it. */
export function doubleServices(text: string): string[] {
  const found = logicalLines(text).flatMap(lines => asService(text, lines) ?? [])
  const keys = found.map(addressKey)
  return readServices(text)
    .filter(service => keys.filter(key => key === addressKey(service)).length > 1)
    .map(({ name }) => name)
}

/** services(5), limited to names that are used for mail services. */
const PORTS: Readonly<Record<string, number>> = {
  smtp: 25,
  mail: 25,
  smtps: 465,
  ssmtp: 465,
  submissions: 465,
  urd: 465,
  submission: 587,
}

/** `submission` and `587` are one service, whichever address master binds. */
function addressKey({ address, type, name }: MasterService): string {
  if (type !== 'inet') return name
  const { host, port } = readAddress(address)
  return `${host}:${PORTS[port] ?? port}/inet`
}

/** `587`, `submission`, `192.0.2.1:587`, `[::1]:smtp`: the host, empty if there is none, and the port as it is written. */
function readAddress(address: string): { readonly host: string; readonly port: string } {
  const [, host = '', port = ''] = /^(?:(.*):)?([^:]+)$/.exec(address) ?? []
  return { host, port }
}

/** Where a service listens; the host is empty if that is up to inet_interfaces. Undefined: a port that has another name. */
export function listensAt({
  address,
  type,
}: Pick<MasterService, 'address' | 'type'>):
  | { readonly host: string; readonly port: number }
  | undefined {
  if (type !== 'inet') return undefined
  const { host, port } = readAddress(address)
  const number = PORTS[port] ?? Number(port)
  if (!Number.isInteger(number)) return undefined
  return { host: host.replace(/^\[(.*)\]$/, '$1'), port: number }
}

/**
 * The first word in braces that master does not understand: no process of this Postfix starts then.
 */
export function brokenWord(
  text: string,
): { readonly text: string; readonly line: number } | undefined {
  for (const lines of logicalLines(text)) {
    for (const word of wordsOf(text, lines).slice(8)) {
      if (!word.text.startsWith('{') || isOneBrace(word.text)) continue
      return { text: word.text, line: lineAt(text, word.offsets[0] ?? 0) }
    }
  }
  return undefined
}

/** Closed, and nothing after it. */
function isOneBrace(word: string): boolean {
  let depth = 0
  for (const [at, character] of [...word].entries()) {
    depth += character === '{' ? 1 : character === '}' ? -1 : 0
    if (depth === 0) return at === word.length - 1
  }
  return false
}

/** The option that counts for a parameter. */
export function optionOf(service: MasterService, name: string): ServiceOption | undefined {
  return service.options.findLast(option => option.name === name)
}

/**
 * The text after an item was inserted first into the value of a service's option. In an option
 * without braces the item must not contain spaces. The inserted text is what an undo has to cut.
 */
export function insertIntoOption(
  text: string,
  option: ServiceOption,
  item: string,
): { readonly text: string; readonly inserted: string } {
  const separator = option.value === '' ? '' : option.isBraced ? ', ' : ','
  const inserted = `${item}${separator}`
  return { text: text.slice(0, option.start) + inserted + text.slice(option.start), inserted }
}

function asService(text: string, lines: readonly Line[]): MasterService | undefined {
  const words = wordsOf(text, lines)
  const [address, type, , , chroot, , , program] = words.slice(0, 8).map(word => word.text)
  if (address === undefined || type === undefined || program === undefined) return undefined
  const { options, strayWord } = readOptions(text, words.slice(8))
  const end = words.at(-1)?.offsets.at(-1) ?? 0
  return {
    name: `${address}/${type}`,
    address,
    type,
    chroot: chroot ?? '-',
    program,
    line: lineAt(text, words[0]?.offsets[0] ?? 0),
    options,
    strayWord,
    end: end + 1,
  }
}

function wordsOf(text: string, lines: readonly Line[]): Word[] {
  const offsets = lines.flatMap(({ start, contentEnd }) =>
    Array.from({ length: contentEnd - start }, (_, i) => start + i),
  )
  const words: Word[] = []
  let at = 0
  const character = (i: number) => text[offsets[i] ?? -1] ?? ''
  while (at < offsets.length) {
    if (/\s/.test(character(at))) {
      at++
      continue
    }
    const start = at
    for (let depth = 0; at < offsets.length; at++) {
      if (character(at) === '{') depth++
      else if (character(at) === '}') depth = Math.max(0, depth - 1)
      else if (depth === 0 && /\s/.test(character(at))) break
    }
    const part = offsets.slice(start, at)
    words.push({ text: part.map(offset => text[offset]).join(''), offsets: part })
  }
  return words
}

/** smtpd's options by their letters, and those of them that take an argument. */
const LETTERS = 'cdDilmnorsStuvVz'
const WITH_ARGUMENT = 'imnorst'

function readOptions(text: string, words: readonly Word[]) {
  const options: ServiceOption[] = []
  for (let at = 0; at < words.length; at++) {
    const word = words[at] && unbraced(words[at])
    if (!word) break
    if (!/^-./.test(word.text)) return { options, strayWord: word.raw }
    if (word.text === '--') return { options, strayWord: words[at + 1]?.text }
    const letter = [...word.text].findIndex((c, i) => i > 0 && WITH_ARGUMENT.includes(c))
    const letters = word.text.slice(1, letter < 0 ? undefined : letter + 1)
    if ([...letters].some(c => !LETTERS.includes(c))) return { options, strayWord: word.text }
    if (letter < 0) continue
    const rest = part(word, letter + 1)
    const argument = rest.text === '' ? words[++at] && unbraced(words[at]) : rest
    if (!argument) return { options, strayWord: word.text }
    if (word.text[letter] !== 'o') continue
    const option = asOption(text, argument)
    if (!option) return { options, strayWord: argument.raw }
    options.push(option)
  }
  return { options, strayWord: undefined }
}

interface Bare extends Word {
  /** As it stands in the file. */
  readonly raw: string
  readonly isBraced: boolean
}

/** master strips the braces of a word; the rest may contain spaces. */
function unbraced(word: Word | undefined): Bare | undefined {
  if (!word) return undefined
  if (!word.text.startsWith('{')) return { ...word, raw: word.text, isBraced: false }
  const end = word.text.endsWith('}') ? word.text.length - 1 : word.text.length
  const { length } = /^\{\s*/.exec(word.text)?.[0] ?? ''
  return { ...part(word, length, end), raw: word.text, isBraced: true }
}

function part<T extends Word>(word: T, from: number, to?: number): T {
  return { ...word, text: word.text.slice(from, to), offsets: word.offsets.slice(from, to) }
}

function asOption(text: string, word: Bare): ServiceOption | undefined {
  const { isBraced } = word
  const sign = word.text.indexOf('=')
  if (sign < 0) return undefined
  let [start, end] = [sign + 1, word.text.length]
  while (start < end && /\s/.test(word.text[start] ?? '')) start++
  while (end > start && /\s/.test(word.text[end - 1] ?? '')) end--
  const name = word.text.slice(0, sign).trim()
  if (!/^\S+$/.test(name)) return undefined
  const offset = word.offsets[start] ?? (word.offsets[start - 1] ?? 0) + 1
  return {
    name,
    value: word.text.slice(start, end),
    line: lineAt(text, word.offsets[0] ?? 0),
    start: offset,
    end: end > start ? (word.offsets[end - 1] ?? 0) + 1 : offset,
    isBraced,
  }
}
