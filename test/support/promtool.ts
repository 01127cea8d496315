/** promtool, of Debian's package prometheus. */

import { spawnSync } from 'node:child_process'

const { error } = spawnSync('promtool', ['--version'])

/** Why tests with it are skipped; false: it is there. */
export const promtoolMissing: string | false =
  error !== undefined && 'promtool is missing (apt install prometheus)'

export interface Judged {
  readonly status: number | null
  /** Everything it says. */
  readonly said: string
}

export function promtool(words: readonly string[], input = ''): Judged {
  const { status, stdout, stderr } = spawnSync('promtool', words, { input, encoding: 'utf8' })
  return { status, said: `${stdout}${stderr}` }
}
