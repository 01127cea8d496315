/** A mistake in the command line, in words: ours, or UCR's where the command is one of UCR's. */

import { type Command, type ExitStatus, USAGE_ERROR } from './command.ts'
import type { Mistake } from './words.ts'

export interface Complaint {
  readonly text: string
  readonly status: ExitStatus
}

const HINT = 'try `mtpolicyctl --help` for more information'

export function complain(
  program: string,
  mistake: Mistake,
  dialect: 'own' | 'ucr',
  command?: Command,
): Complaint {
  if (dialect === 'ucr') return { text: `E: ${asUcr(mistake, command?.name ?? '')}\n`, status: 1 }
  const name = command === undefined ? program : `${program} ${command.name}`
  return { text: `${name}: ${ours(mistake, command)}\nSee ${name} --help.\n`, status: USAGE_ERROR }
}

function ours(mistake: Mistake, command: Command | undefined): string {
  switch (mistake.kind) {
    case 'no-command':
      return 'a command is missing'
    case 'unknown-command':
      return `unknown command "${mistake.word}"${suggestion(mistake.near)}`
    case 'half-a-command':
      return `"${mistake.word}" needs one more word: ${mistake.verbs.join(', ')}`
    case 'unknown-option':
      return `unknown option ${mistake.option}${suggestion(mistake.near)}`
    case 'no-argument':
      return `option ${mistake.option} needs ${mistake.argument}`
    case 'bad-argument':
      return `option ${mistake.option}: expected a whole number up to 9999, found "${mistake.value}"`
    case 'too-few':
      return `expected ${command?.operands ?? 'an argument'}`
    case 'too-many':
      return `unexpected argument "${mistake.word}"`
  }
}

function suggestion(near: string | undefined): string {
  return near === undefined ? '' : `; did you mean ${near}?`
}

/** Recorded from UCR (test/registry/ucr-cases.json): scripts may look for these lines. */
function asUcr(mistake: Mistake, command: string): string {
  switch (mistake.kind) {
    case 'no-command':
      return 'missing action, see --help'
    case 'unknown-command':
      return `unknown action "${mistake.word}", see --help`
    case 'half-a-command':
      return `unknown action "${mistake.word}", see --help`
    case 'unknown-option':
      return mistake.isStray
        ? `unknown option ${mistake.option}`
        : `invalid option ${mistake.option} for command ${command}`
    case 'no-argument':
      return `option ${mistake.option} for command ${command} expects an argument`
    case 'bad-argument':
      return `invalid option ${mistake.option} for command ${command}`
    case 'too-few':
      return `too few arguments for command [${command}]\n${HINT}`
    case 'too-many':
      return `invalid argument ${mistake.word} for command ${command}`
  }
}
