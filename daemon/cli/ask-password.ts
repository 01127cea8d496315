/**
 * A password as the user types it: on the terminal, which does not show it. Without a terminal it is the
 * first line of standard input, so that a program can pass it on. Never an argument: others see those.
 */

import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'

/** Rejects if none was typed: Ctrl-C, Ctrl-D, or nothing to read. */
export async function askPassword(prompt: string): Promise<string> {
  const { stdin, stderr } = process
  const isTerminal = stdin.isTTY
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() })
  const reader = createInterface({ input: stdin, output: silent, terminal: isTerminal })
  const none = new AbortController()
  reader.once('SIGINT', () => none.abort())
  reader.once('close', () => none.abort())
  if (isTerminal) stderr.write(prompt)
  try {
    return await reader.question('', { signal: none.signal })
  } catch (error) {
    if (none.signal.aborted) throw new Error('a password was expected', { cause: error })
    throw error
  } finally {
    reader.close()
    if (isTerminal) stderr.write('\n')
  }
}
