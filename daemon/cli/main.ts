/**
 * mtpolicyctl - everything an administrator does with the daemon.
 *
 * Text on a terminal, `--json` for programs. Exit status: 0 done, 1 refused or failed, 2 a value
 * that does not fit its type, 3 done in part, 64 a wrong command line.
 */

import { pathsBelow } from '../assembly/paths.ts'
import { describeError } from '../system/errors.ts'
import { commands } from './commands.ts'
import { controlOptions } from './options.ts'
import { runWords } from './run-words.ts'
import { thisHost } from './this-host.ts'

const program = { name: 'mtpolicyctl', options: controlOptions, commands, dialect: 'own' } as const

const streams = {
  out: (text: string): void => void process.stdout.write(text),
  err: (text: string): void => void process.stderr.write(text),
  async flushed(): Promise<void> {
    if (process.stdout.writableNeedDrain) {
      await new Promise<void>(resolve => process.stdout.once('drain', resolve))
    }
  },
  isTerminal: process.stderr.isTTY === true,
}

// `mtpolicyctl dump | head` closes the pipe: what was wanted has been shown.
process.stdout.on('error', () => process.exit(1))

runWords(process.argv.slice(2), program, streams, root => thisHost(pathsBelow(root), streams)).then(
  status => {
    process.exitCode = status
  },
  error => {
    streams.err(`mtpolicyctl: ${describeError(error)}\n`)
    process.exitCode = 1
  },
)
