/**
 * Says that the history does not know a name, and which accounts it may stand for: somebody in a hurry writes eve
 * where the login is eve@example.org, and mail of eve@example.org still passes.
 */

import type { AccountReport } from '../control/protocol.ts'
import { printable } from '../text/columns.ts'
import type { Host } from './host.ts'

const MOST_NAMED = 3

/** A sentence; empty if mail of the account is known, or if there is no history to ask. */
export async function unknownAccountText({ daemon }: Host, name: string): Promise<string> {
  try {
    const reply = await daemon.user({ name })
    if (!reply?.ok || !isUnknown(reply.result)) return ''
    const { account } = reply.result
    const meant = await accountsMeant(daemon, account)
    const question = meant.length === 0 ? '' : `: do you mean ${meant.join(', ')}?`
    return `No mail of ${printable(account)} is known${question || '.'}`
  } catch {
    // What the command was for is done.
    return ''
  }
}

export function isUnknown({ history, ...lists }: AccountReport): boolean {
  if (history.state !== 'ok') return false
  return lists.messages.length + lists.refusals.length + lists.countries.length === 0
}

/** Accounts whose name is this one and a domain. */
export async function accountsMeant(
  daemon: Host['daemon'],
  account: string,
): Promise<readonly string[]> {
  if (account === '' || account.includes('@')) return []
  const found = await daemon.accounts({ prefix: `${account}@` })
  return found.slice(0, MOST_NAMED).map(printable)
}
