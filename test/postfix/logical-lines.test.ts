/** How main.cf is divided into lines and definitions, compared with Postfix's own postconf. */

import fs from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { logicalLines } from '../../daemon/postfix/smtpd/logical-lines.ts'
import { findDefinitions, readDefinitions } from '../../daemon/postfix/smtpd/main-cf.ts'
import { readServices } from '../../daemon/postfix/smtpd/master-cf.ts'
import { runProgram } from '../../daemon/system/external-program.ts'
import { postfixRigMissing } from '../support/postfix-rig.ts'

const inOneLine = (value: string) => value.replaceAll(/\s+/g, ' ').trim()

t.test('a file is read as Postfix reads it', { skip: postfixRigMissing() }, async t => {
  const directory = t.testdir({ 'master.cf': '' })
  const file = path.join(directory, 'main.cf')
  const name = 'smtpd_data_restrictions'
  for (const [text, expected] of [
    [`${name} = a, b\n`, 'a, b'],
    [`${name}=a\n`, 'a'],
    [`${name} =\n`, ''],
    [`${name} = a\n  b\n\n# no\n\tc\n`, 'a b c'],
    [`${name}\n  = a\n`, 'a'],
    [`${name} = a\r\nother = b\r\n`, 'a'],
    [`  ${name} = a\n`, ''],
    [`# no\n  ${name} = a\n  b\n`, ''],
    [`  other = a\n  b\n${name} = c\n`, 'c'],
    [`other = a\n  ${name} = b\n`, ''],
    [`${name} = a\n#${name} = b\n`, 'a'],
    [`${name} = a=b\n`, 'a=b'],
    [`${name} = a\n${name} = b\n`, 'b'],
    [`${name} = a # b\n`, 'a # b'],
    [`smtpd_data restrictions = a\n`, undefined],
    ['= a\n', undefined],
    ['no sign\n', undefined],
  ] as const) {
    fs.writeFileSync(file, text)
    fs.utimesSync(file, new Date(0), new Date(0))
    const shown = await runProgram(['postconf', '-c', directory, '-h', name])
    t.equal(shown.status === 0 ? inOneLine(shown.stdout) : undefined, expected, `postconf: ${text}`)
    const good = new Set(readDefinitions(text).map(({ start }) => start))
    const isBad = logicalLines(text).some(([first]) => first && !good.has(first.start))
    const value = findDefinitions(text, name).at(-1)?.value ?? ''
    t.equal(isBad ? undefined : inOneLine(value), expected, `we: ${text}`)
  }
})

t.test('a service that begins with white space is not a service', async t => {
  const line = 'smtp inet n - y - - smtpd'
  t.strictSame(readServices(` ${line}\n`), [])
  t.strictSame(readServices(`# no\n\t${line}\n  -o a=b\n`), [])
  t.match(readServices(`${line}\n  -o a=b\n`), [{ options: [{ name: 'a' }] }])
})
