/** check: everything wrong with a configuration. */

import { formatNotice } from '../../policy/problem.ts'
import { defineCommand } from '../command.ts'
import { json as jsonOption } from '../options.ts'

export const check = defineCommand({
  name: 'check',
  group: 'try',
  operands: '[FILE]',
  offers: 'files',
  summary: 'report the mistakes in a configuration',
  more: `
    Reads the file as the daemon does, with the permissions of its user, and reports every mistake
    as FILE:LINE:COLUMN. Without FILE it checks the configuration in use. The exit status is 1
    if there is an error; warnings alone leave it at 0. Nothing is started or changed.
  `,
  json: '{file, problems, notes}: a problem has severity, place and message.',
  options: { json: jsonOption },
  async run({ json, operands: [file] }, host) {
    const { file: checked, problems, notices } = await host.configuration.check(file)
    const found = [...notices, ...problems]
    const errors = found.filter(({ severity }) => severity !== 'warning').length
    if (json) {
      const notes = notices.map(formatNotice)
      host.out(`${JSON.stringify({ file: checked, problems, notes }, undefined, 2)}\n`)
      return errors > 0 ? 1 : 0
    }
    host.err(found.map(notice => `${formatNotice(notice)}\n`).join(''))
    const warnings = found.length - errors
    if (errors + warnings === 0) host.out(`${checked}: nothing wrong\n`)
    else host.err(`${count(errors, 'error')}, ${count(warnings, 'warning')}\n`)
    return errors > 0 ? 1 : 0
  },
})

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}
