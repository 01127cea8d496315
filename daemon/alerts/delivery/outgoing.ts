/**
 * Mail that waits for another process to send it: a file for each, in a folder of the state directory.
 *
 * The first line is the envelope as JSON, the rest is the message. A file appears as a whole (rename), and
 * is on the disk before the alert counts as delivered. univention-mtpolicyd-mail.path notices files whose
 * name does not begin with a dot, and starts `mtpolicyctl alert deliver`.
 */

import { readdirSync, statSync } from 'node:fs'
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describeError } from '../../system/errors.ts'
import { DONE, type Held, type Outcome } from '../delivery.ts'
import { OutgoingNotebook, outgoingNotes } from './outgoing-notes.ts'
import type { OutgoingMail } from './sendmail.ts'

/** Mails that wait; while the other unit does not work, further ones wait in the outbox. */
const MOST_MAILS = 1000
/** A longer file is not one of ours. */
const LARGEST_MAIL_BYTES = 1 << 20
/** An alert of yesterday helps nobody. */
const LONGEST_WAIT_MILLISECONDS = 86_400_000
/** The other unit starts at once, and a mail server that is busy takes a second or two. */
const LEAVES_WITHIN_MILLISECONDS = 10_000
const LOOK_MILLISECONDS = 100
const END = '.mail'
/** In the name of a mail to a user, behind the id of its alert. */
export const USER = '.user'
const UNIT = 'univention-mtpolicyd-mail'

export function outgoingFolder(state: string): string {
  return join(state, 'outgoing')
}

/** @param name the same mail has the same name, so that it is not there twice. */
export async function putOutgoing(
  state: string,
  name: string,
  mail: OutgoingMail,
): Promise<Outcome> {
  const folder = outgoingFolder(state)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const { length } = await namesIn(folder)
  if (length >= MOST_MAILS) {
    return { is: 'later', why: `${length} mails wait in ${folder}; see systemctl status ${UNIT}` }
  }
  const { from, to, message } = mail
  const file = fileOf(name)
  const hidden = join(folder, `.${file.slice(0, -END.length)}`)
  const handle = await open(hidden, 'w', 0o600)
  try {
    await handle.writeFile(`${JSON.stringify({ from, to })}\n${message}`)
    await handle.datasync()
  } finally {
    await handle.close()
  }
  await rename(hidden, join(folder, file))
  await syncFolder(folder)
  return DONE
}

/** Has that mail left the folder, and was it taken? Waits for it a few seconds. */
export async function outgoingOutcome(
  state: string,
  name: string,
  signal: AbortSignal,
  patience = LEAVES_WITHIN_MILLISECONDS,
): Promise<Outcome> {
  const folder = outgoingFolder(state)
  const file = fileOf(name)
  for (let waited = 0; ; waited += LOOK_MILLISECONDS) {
    const isThere = (await namesIn(folder)).includes(file)
    const { waiting, givenUp } = outgoingNotes(folder, Date.now())
    const why = givenUp.get(file)
    if (!isThere) return why === undefined ? DONE : { is: 'refused', why }
    const [other] = waiting.values()
    const reason = waiting.get(file) ?? (waited < patience ? undefined : other)
    if (reason !== undefined) return { is: 'later', why: `it waits in ${folder}: ${reason}` }
    if (waited >= patience) {
      return { is: 'later', why: `it waits in ${folder}; see systemctl status ${UNIT}.path` }
    }
    await sleep(LOOK_MILLISECONDS, undefined, { signal })
  }
}

/** Mails that wait: to users, or to the administrator. */
export function outgoingHeld(state: string, isForUser: boolean): Held {
  const folder = outgoingFolder(state)
  try {
    const own = mailsIn(readdirSync(folder)).filter(name => name.includes(USER) === isForUser)
    const times = own.map(name => statSync(join(folder, name)).mtimeMs)
    return { count: times.length, oldest: times.length === 0 ? undefined : Math.min(...times) }
  } catch {
    // There is no such folder yet, or one was sent just now.
    return { count: 0, oldest: undefined }
  }
}

/** For status: mail that has been waiting for more than a minute means that the other unit does not work. */
export function outgoingProblem(state: string, now: number): string | undefined {
  const folder = outgoingFolder(state)
  const { waiting, givenUp } = outgoingNotes(folder, now)
  const [reason = `see systemctl status ${UNIT}`] = waiting.values()
  const [dropped] = givenUp.values()
  try {
    const times = mailsIn(readdirSync(folder)).map(name => statSync(join(folder, name)).mtimeMs)
    const minutes = Math.floor((now - Math.min(...times)) / 60_000)
    if (times.length > 0 && minutes >= 1) {
      return `mails in ${folder} have been waiting for ${minutes} min; ${reason}`
    }
  } catch {
    // There is no such folder yet, or one was sent just now.
  }
  return dropped === undefined ? undefined : `a mail was given up: ${dropped}`
}

export interface Sent {
  readonly sent: number
  /** Given up, each with its reason. */
  readonly dropped: readonly string[]
  /** Stay for the next time, each with its reason. */
  readonly left: readonly string[]
}

/** Sends all, oldest first, also those that are put there meanwhile. */
export async function sendOutgoing(
  state: string,
  now: () => number,
  send: (mail: OutgoingMail) => Promise<Outcome>,
): Promise<Sent> {
  const folder = outgoingFolder(state)
  const notebook = new OutgoingNotebook(folder, now)
  const left = new Map<string, string>()
  const dropped: string[] = []
  let sent = 0
  for (;;) {
    const name = (await namesIn(folder)).find(one => !left.has(one))
    if (name === undefined) break
    const path = join(folder, name)
    const outcome = await sendOne(path, now(), send)
    if (outcome.is === 'later') {
      notebook.note(name, 'waiting', outcome.why)
      left.set(name, `${name}: ${outcome.why}`)
      continue
    }
    if (outcome.is === 'refused') {
      notebook.note(name, 'given up', outcome.why)
      dropped.push(`${name}: ${outcome.why}`)
    } else sent++
    await rm(path, { force: true })
  }
  await notebook.end(sent)
  return { sent, dropped, left: [...left.values()] }
}

async function sendOne(
  path: string,
  now: number,
  send: (mail: OutgoingMail) => Promise<Outcome>,
): Promise<Outcome> {
  try {
    const { size, mtimeMs } = await stat(path)
    if (size > LARGEST_MAIL_BYTES) return { is: 'refused', why: 'it is not one of our mails' }
    const mail = mailIn(await readFile(path, 'utf8'))
    if (mail === undefined) return { is: 'refused', why: 'it is not one of our mails' }
    const outcome = await send(mail)
    const isOld = now - mtimeMs > LONGEST_WAIT_MILLISECONDS
    return outcome.is === 'later' && isOld ? { is: 'refused', why: outcome.why } : outcome
  } catch (error) {
    return { is: 'later', why: describeError(error) }
  }
}

function mailIn(text: string): OutgoingMail | undefined {
  const end = text.indexOf('\n')
  try {
    const envelope: unknown = JSON.parse(text.slice(0, end))
    if (typeof envelope !== 'object' || envelope === null) return undefined
    const { from, to } = envelope as Partial<Record<'from' | 'to', unknown>>
    if (typeof from !== 'string' || typeof to !== 'string' || to === '') return undefined
    return { from, to, message: text.slice(end + 1) }
  } catch {
    return undefined
  }
}

function fileOf(name: string): string {
  return `${name.replaceAll(/[^\w.-]/g, '-').replace(/^\.+/, '')}${END}`
}

/** Their names begin with the time of their alert. */
function mailsIn(names: readonly string[]): string[] {
  return names.filter(name => name.endsWith(END) && !name.startsWith('.')).sort()
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return mailsIn(await readdir(folder))
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  }
}

/** So that the new name survives a power failure. */
async function syncFolder(folder: string): Promise<void> {
  const directory = await open(folder, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}
