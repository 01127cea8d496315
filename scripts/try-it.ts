/** Printed by `make run` before the daemon takes over the terminal: how to try it, in two lines. */

import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

const postfixRequest = 'test/fixtures/postfix-requests/c1-auth-eod.txt'
const root = process.argv[2] ?? '.run'
const top = join(import.meta.dirname, '..')
if (!existsSync(join(top, postfixRequest))) throw new Error(`${postfixRequest} is missing`)

// Nobody on this machine is to get mail from it.
execFileSync(join(top, 'dist/mtpolicyctl'), ['--root', root, 'set', 'mtpolicyd/alert/mail?none'], {
  stdio: 'ignore',
})

process.stdout.write(`
Query it from another terminal:  grep -v instance= ${postfixRequest} | dist/policyd-client
Change a limit while it runs:    dist/mtpolicyctl --root ${root} set mtpolicyd/threshold=2

`)
