/** After a change. That no daemon runs is not an error; that it refuses is one, and is thrown. */

import type { Host } from './host.ts'

export async function reloadIfRunning({
  daemon,
  err,
}: Pick<Host, 'daemon' | 'err'>): Promise<void> {
  const reply = await daemon.reload()
  if (reply && !reply.ok) throw new Error(reply.message)
  // Errors that we can see have been refused before: these only the daemon itself can see.
  const errors = reply?.result.filter(line => /:\d+: error: /.test(line)) ?? []
  err(errors.map(line => `${line} (reported by the running daemon)\n`).join(''))
}
