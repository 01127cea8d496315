/**
 * Calls `ucr register` or `ucr unregister` for this package.
 *
 * That a host has no UCR is not an error: the same package installs there. The files that UCR
 * registers come with the package, in /etc/univention.
 */

import { findUcr } from '../registry/ucr.ts'
import type { ExitStatus } from './command.ts'
import type { Host } from './host.ts'

const PACKAGE = 'univention-mtpolicyd'

export async function callUcr(host: Host, action: 'register' | 'unregister'): Promise<ExitStatus> {
  const ucr = findUcr(host.paths.root)
  if (ucr === undefined) return 0
  const { status, stdout, stderr } = await host.run([ucr, action, PACKAGE])
  if (status === 0) {
    host.out(stdout)
    return 0
  }
  const why = stderr.trim() || `exit status ${status}`
  host.err(`mtpolicyctl: ucr ${action} ${PACKAGE} failed: ${why}\n`)
  return 1
}
