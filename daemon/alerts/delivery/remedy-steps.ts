/**
 * What to do, as lines of a mail: one for each command, so that a command can be copied as a whole. `A; if that does
 * not help: B` is three.
 */

const COMMANDS = '(?:mtpolicyctl|systemctl|journalctl|postfix|postconf|newaliases|apt) '
const COMMAND = new RegExp(`^ *${COMMANDS}`)
const WORDS_AND_COMMAND = new RegExp(`^(.*?:) (${COMMANDS}.*)$`)
/** Up to a semicolon with a space, but not inside of quotes, which a name may have around it. */
const PARTS = /(?:'[^']*'|\\.|[^;]|;(?! ))+/g

export function remedySteps(remedy: string): readonly string[] {
  return (remedy.match(PARTS) ?? []).flatMap(part => {
    const text = part.trim()
    const [, words, command] = (!isCommand(text) && WORDS_AND_COMMAND.exec(text)) || []
    return words === undefined || command === undefined ? [text] : [words, command]
  })
}

/** It is copied, so it stays one line however long it is. */
export function isCommand(line: string): boolean {
  return COMMAND.test(line)
}
