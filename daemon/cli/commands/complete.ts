/**
 * complete: the words that the shell offers where a name is expected.
 *
 * The shell waits for it with every TAB, and inserts what it prints into a command line: so it gives up
 * soon, complains about nothing, and prints only words that no shell takes for anything else.
 */

import { userName } from '../../registry/name-key.ts'
import { defineCommand, USAGE_ERROR } from '../command.ts'
import type { Host } from '../host.ts'

/** No quote, no `$`, no space; and not an option. */
const SAFE = /^[\p{L}\p{N}_.@+][\p{L}\p{N}_.@+-]*$/u

export const complete = defineCommand({
  name: 'complete',
  group: 'package',
  summary: 'list what the shell completes a name to',
  more: `
    Prints one word per line, for the completion of the shell: accounts that have sent mail of late
    or have variables of their own, or the codes of recent refusals. Prints nothing, and nothing is
    wrong, if there is none or no daemon runs. Names that a shell would not take as they are, are
    left out.
  `,
  options: {
    accounts: { type: 'string', argument: 'PREFIX', doc: 'Accounts that begin with it.' },
    codes: { type: 'string', argument: 'PREFIX', doc: 'Codes of refusals that begin with it.' },
  },
  async run({ accounts, codes }, host) {
    if (accounts === undefined && codes === undefined) {
      host.err('mtpolicyctl complete: expected --accounts PREFIX or --codes PREFIX\n')
      return USAGE_ERROR
    }
    const words = [
      ...(accounts === undefined ? [] : await accountsFrom(host, accounts)),
      ...(codes === undefined ? [] : await host.daemon.codes({ prefix: codes.toUpperCase() })),
    ]
    const safe = new Set(words.filter(word => SAFE.test(word)))
    host.out([...safe].map(word => `${word}\n`).join(''))
    return 0
  },
})

async function accountsFrom(host: Host, typed: string): Promise<string[]> {
  const prefix = typed.toLowerCase()
  const withVariables = namesInVariables(host).filter(name => name.startsWith(prefix))
  return [...(await host.daemon.accounts({ prefix })), ...withVariables]
}

/** None, if the variables cannot be read. */
function namesInVariables({ registry }: Host): string[] {
  try {
    return [...registry.names()].flatMap(key => {
      const part = /^mtpolicyd\/user\/([^/]+)\//.exec(key)?.[1]
      return (part !== undefined && userName(part)) || []
    })
  } catch {
    return []
  }
}
