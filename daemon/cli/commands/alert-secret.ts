/** alert secret: by which the receiver of the webhook knows that alerts are ours. */

import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import {
  MOST_SECRETS,
  SECRET_FILE,
  secretsIn,
  TOKEN_FILE,
} from '../../alerts/delivery/signature.ts'
import { DAEMON_USER, daemonUser } from '../../system/daemon-user.ts'
import { linkTarget } from '../../system/link-target.ts'
import { makeFolder } from '../../system/made-folder.ts'
import { replaceFile } from '../../system/replace-file.ts'
import { defineCommand } from '../command.ts'
import type { Host } from '../host.ts'

/** As long as the hash it keys. */
const SECRET_BYTES = 32

export const alertSecret = defineCommand({
  name: 'alert secret',
  group: 'variables',
  summary: 'the secret that signs alerts to a webhook',
  more: `
    Prints the secret with which alerts to mtpolicyd/alert/webhook are signed, and creates it if
    there is none. Give it to the receiver: it computes the HMAC-SHA-256 of the time in
    X-Mtpolicyd-Signature, a full stop and the body, and compares it with one of the v1 there.

    With --new there is a new secret. The former one signs as well until the next --new, so that
    the receiver can change over at any time.

    With --token it asks for a token of the receiver (Matrix, ntfy), which is sent to it as
    Authorization: Bearer. Without a terminal it is the first line of standard input.

    All of it takes effect with the next alert.
  `,
  options: {
    new: { type: 'boolean', doc: 'Make a new secret.' },
    token: { type: 'boolean', doc: 'Store a token of the receiver instead.' },
  },
  async run(values, host) {
    const etc = join(host.paths.config, '..')
    if (values.token) {
      const token = await host.askPassword('Token: ')
      if (!/^[\x21-\x7e]+$/.test(token)) throw new Error('expected a token without spaces')
      keep(host, join(etc, TOKEN_FILE), [token])
      host.out(`It is in ${join(etc, TOKEN_FILE)}.\n`)
      return 0
    }
    const known = await secretsIn(etc, SECRET_FILE)
    const [secret] = known
    if (secret !== undefined && !values.new) {
      host.out(`${secret}\n`)
      return 0
    }
    const made = randomBytes(SECRET_BYTES).toString('hex')
    keep(host, join(etc, SECRET_FILE), [made, ...known].slice(0, MOST_SECRETS))
    host.out(`${made}\n`)
    return 0
  },
})

/** Root's, and read by the daemon. */
function keep({ paths, err }: Host, path: string, lines: readonly string[]): void {
  makeFolder(join(path, '..'))
  const target = linkTarget(path)
  const isRoot = process.geteuid?.() === 0
  const user = daemonUser(paths.root)
  if (isRoot && user === undefined && paths.root === '/') {
    err(`mtpolicyctl: there is no user ${DAEMON_USER}, so only root can read ${path}\n`)
  }
  replaceFile(target, `${lines.join('\n')}\n`, {
    temporary: `${target}.new`,
    mode: 0o640,
    owner: isRoot && user !== undefined ? { uid: 0, gid: user.gid } : undefined,
    sync: 'file and folder',
    mountPoint: 'write in place',
  })
}
