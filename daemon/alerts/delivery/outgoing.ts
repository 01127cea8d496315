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
import { describeError } from '../../system/errors.ts'
import { DONE, type Outcome } from '../delivery.ts'
import type { OutgoingMail } from './sendmail.ts'

/** Mails that wait; while the other unit does not work, further ones wait in the outbox. */
const MOST_MAILS = 1000
/** A longer file is not one of ours. */
const LARGEST_MAIL_BYTES = 1 << 20
/** An alert of yesterday helps nobody. */
const LONGEST_WAIT_MILLISECONDS = 86_400_000
const END = '.mail'
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
  const base = name.replaceAll(/[^\w.-]/g, '-').replace(/^\.+/, '')
  const hidden = join(folder, `.${base}`)
  const file = await open(hidden, 'w', 0o600)
  try {
    await file.writeFile(`${JSON.stringify({ from, to })}\n${message}`)
    await file.datasync()
  } finally {
    await file.close()
  }
  await rename(hidden, join(folder, `${base}${END}`))
  await syncFolder(folder)
  return DONE
}

/** For status: mail that has been waiting for more than a minute means that the other unit does not work. */
export function outgoingProblem(state: string, now: number): string | undefined {
  const folder = outgoingFolder(state)
  try {
    const times = mailsIn(readdirSync(folder)).map(name => statSync(join(folder, name)).mtimeMs)
    const minutes = Math.floor((now - Math.min(...times)) / 60_000)
    if (times.length === 0 || minutes < 1) return undefined
    return `mails in ${folder} have been waiting for ${minutes} min; see systemctl status ${UNIT}`
  } catch {
    // There is no such folder yet, or one was sent just now.
    return undefined
  }
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
  const left = new Map<string, string>()
  const dropped: string[] = []
  let sent = 0
  for (;;) {
    const name = (await namesIn(folder)).find(one => !left.has(one))
    if (name === undefined) return { sent, dropped, left: [...left.values()] }
    const path = join(folder, name)
    const outcome = await sendOne(path, now(), send)
    if (outcome.is === 'later') left.set(name, `${name}: ${outcome.why}`)
    else {
      await rm(path, { force: true })
      if (outcome.is === 'done') sent++
      else dropped.push(`${name}: ${outcome.why}`)
    }
  }
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
