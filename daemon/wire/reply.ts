/**
 * An answer as bytes: `action=TEXT`, an empty line. The text is made one line of UTF-8 here as
 * well, at the last door, whatever path it came by.
 */

import { oneLine } from '../policy/verdict.ts'

const DUNNO = Buffer.from('action=dunno\n\n')

export function formatReply(action: string): Buffer {
  return action === 'dunno' ? DUNNO : Buffer.from(`action=${oneLine(action)}\n\n`)
}
