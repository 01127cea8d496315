/** Runs a command line: shows help, complains, or hands a host to a command. */

import { version } from '../version.ts'
import { type ExitStatus, USAGE_ERROR } from './command.ts'
import { complain } from './complaint.ts'
import type { Host } from './host.ts'
import { type Program, parseCall } from './parse.ts'
import { commandHelp, programHelp } from './usage.ts'

export type Streams = Pick<Host, 'out' | 'err'>

export async function runWords(
  words: readonly string[],
  program: Program,
  { out, err }: Streams,
  hostBelow: (root: string) => Host,
): Promise<ExitStatus> {
  const call = parseCall(words, program)
  switch (call.kind) {
    case 'run':
      return call.command.run(call.values, hostBelow(call.root))
    case 'version':
      out(`${program.name} ${version}\n`)
      return 0
    case 'help': {
      const helps = call.commands.map(command => commandHelp(program.name, command))
      out(helps.length === 0 ? programHelp(program) : helps.join('\n'))
      return 0
    }
    case 'mistake': {
      if (words.length === 0) {
        out(programHelp(program))
        return USAGE_ERROR
      }
      const dialect = call.command?.dialect ?? program.dialect
      const { text, status } = complain(program.name, call.mistake, dialect, call.command)
      err(text)
      return status
    }
  }
}
