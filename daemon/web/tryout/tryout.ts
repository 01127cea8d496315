/**
 * Other settings are tried on the mail of the last days: message by message from Postfix's log if it can be read,
 * otherwise on the sums that the history has of each hour. The settings in force are tried as well, for comparison:
 * the log has only what was accepted, and its counts begin at nothing.
 */

import { accessSync, constants } from 'node:fs'
import type { DaemonStatus } from '../../control/protocol.ts'
import type { Changes } from '../../registry/console-variables.ts'
import { openRegistry } from '../../registry/registry.ts'
import { describeError } from '../../system/errors.ts'
import type { TryoutAnswer } from '../api.ts'
import { WebError } from '../reply.ts'
import type { Services } from '../router.ts'
import { tryOnHistory } from './on-history.ts'
import { tryOnLog } from './on-log.ts'

export interface Wish {
  readonly services: Services
  /** In normal form; null: unset. */
  readonly changes: Changes
  /** Milliseconds since 1970. */
  readonly since: number
  readonly until: number
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal
}

/** Throws a WebError; whatever the signal was aborted with. */
export async function tryOut(wish: Wish): Promise<TryoutAnswer> {
  const { daemon, paths } = wish.services
  const status = await daemon.status()
  if (status.origin !== 'variables') {
    const message = `${status.configuration} was written by hand, so variables have no effect; see mtpolicyctl replay --config`
    throw new WebError(400, message)
  }
  const registry = openRegistry({ root: paths.root, env: process.env })
  const log = readableLog(status)
  if ('path' in log) {
    const answer = await tryOnLog(wish, registry, log.path)
    if (answer) return answer
  }
  const because = 'path' in log ? `there is no mail of that time in ${log.path}` : log.because
  return tryOnHistory(wish, registry, because)
}

function readableLog({
  mailLog,
}: DaemonStatus): { readonly path: string } | { readonly because: string } {
  const { state = 'off', source = '', problem } = mailLog ?? {}
  if (state === 'off') return { because: "Postfix's log is not read (mtpolicyd/maillog)" }
  if (!source.startsWith('/')) return { because: problem ?? "Postfix's log is in the journal only" }
  try {
    accessSync(source, constants.R_OK)
    return { path: source }
  } catch (error) {
    return { because: describeError(error) }
  }
}
