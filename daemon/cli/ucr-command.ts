/**
 * `mtpolicyctl ucr setup|remove` - for the package's own scripts: makes UCR know our variables, their
 * defaults and our hook, or forget the hook.
 *
 * On a host without UCR there is nothing to do, and that is no error: the same package installs
 * there. The files themselves come with the package, in /etc/univention.
 */

import type { Run } from '../postfix/external-program.ts'

export interface UcrCommandIo {
  readonly out: (text: string) => void
  readonly err: (text: string) => void
  readonly run: Run
  /** UCR's program, where there is one. */
  readonly ucr: string | undefined
}

const PACKAGE = 'univention-mtpolicyd'
const ACTIONS: ReadonlyMap<string | undefined, string> = new Map([
  ['setup', 'register'],
  ['remove', 'unregister'],
])

export async function ucrCommand(
  [verb, ...more]: readonly string[],
  { out, err, run, ucr }: UcrCommandIo,
): Promise<0 | 1 | 64> {
  const action = ACTIONS.get(verb)
  if (action === undefined || more.length > 0) {
    err('usage: mtpolicyctl ucr setup|remove\n')
    return 64
  }
  if (ucr === undefined) return 0
  const { status, stdout, stderr } = await run([ucr, action, PACKAGE])
  if (status === 0) {
    out(stdout)
    return 0
  }
  err(`mtpolicyctl: ucr ${action} ${PACKAGE} failed: ${stderr.trim() || `exit ${status}`}\n`)
  return 1
}
