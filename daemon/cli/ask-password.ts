/**
 * A password as the user types it: on the terminal, which does not show it. Without a terminal it is the
 * first line of standard input, so that a program can pass it on. Never an argument: others see those.
 */

import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'

/** Rejects if there is none: Ctrl-C, Ctrl-D, an empty line. */
export async function askPassword(prompt: string): Promise<string> {
  const password = process.stdin.isTTY ? await typed(prompt) : firstLine(readFileSync(0, 'utf8'))
  if (password === '') throw new Error('expected a password')
  return password
}

export function firstLine(text: string): string {
  return text.split(/\r?\n/, 1)[0] ?? ''
}

async function typed(prompt: string): Promise<string> {
  const { stdin, stderr } = process
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() })
  const reader = createInterface({ input: stdin, output: silent, terminal: true, historySize: 0 })
  const none = new AbortController()
  reader.once('SIGINT', () => none.abort()).once('close', () => none.abort())
  stderr.write(prompt)
  try {
    return await reader.question('', { signal: none.signal })
  } catch (error) {
    if (none.signal.aborted) return ''
    throw error
  } finally {
    reader.close()
    stderr.write('\n')
  }
}
