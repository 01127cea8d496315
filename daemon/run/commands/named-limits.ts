/** The limits per user that an administrator means by a window: `day`, `hour`, `1h`, or the name of a block. */

import { window, writtenWindow } from '../../plugins/limit/window.ts'
import type { AccountLimit } from '../../policy/account-limit.ts'
import { oneLine } from '../../policy/verdict.ts'

/** As the host variables call them. */
const WORDS: Readonly<Record<string, string>> = { hour: '1h', minute: '1m', rolling: '24h' }

export interface NamedLimits {
  /** How a measure names them (`OtherLimit`). */
  readonly window: string
  readonly limits: readonly AccountLimit[]
}

/** Without a text: all limits per user. Throws a message that names those that exist. */
export function limitsNamed(all: readonly AccountLimit[], text: string | undefined): NamedLimits {
  const ofUsers = all.filter(({ per }) => per === 'user')
  if (ofUsers.length === 0) throw new Error('the running configuration has no limit per user')
  if (text === undefined) return { window: '', limits: ofUsers }
  const meant = window.parse(WORDS[text] ?? text)
  const written = meant && writtenWindow(meant.value)
  const byWindow = ofUsers.filter(one => one.unit === 'recipients' && one.window === written)
  if (written !== undefined && byWindow.length > 0) return { window: written, limits: byWindow }
  const byName = ofUsers.filter(({ name }) => name === text)
  if (byName.length > 0) return { window: text, limits: byName }
  const known = ofUsers.map(one =>
    one.unit === 'recipients' ? `${one.window} (${one.name})` : `${one.name} (${one.window})`,
  )
  const list = [...new Set(known)].join(', ')
  throw new Error(
    `no limit per user is called ${oneLine(text)}; the running configuration has: ${list}`,
  )
}
