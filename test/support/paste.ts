/** Does what a remedy of doctor says, as somebody who pastes its lines. */

import fs from 'node:fs'
import path from 'node:path'
import { planRegistration } from '../../daemon/postfix/registration/registration-plan.ts'
import { readListener } from '../../daemon/postfix/smtpd/endpoint.ts'
import { isAbsent, readInstance } from '../../daemon/postfix/smtpd/instance.ts'
import { lineAt } from '../../daemon/postfix/smtpd/logical-lines.ts'
import { readDefinitions } from '../../daemon/postfix/smtpd/main-cf.ts'
import { remembered, type ShownFinding } from './diagnose.ts'

/** The lines below a remedy that are to be pasted. */
export function linesOf({ remedy }: ShownFinding): string[] {
  return remedy.split('\n').slice(1)
}

/** Pastes a remedy's lines, each where the remedy says; false: it has none. */
export function paste(finding: ShownFinding): boolean {
  const [action = ''] = finding.remedy.split('\n')
  const lines = linesOf(finding)
  const places = [...action.matchAll(/(?:replace |, )(\/[^\s:,]+):(\d+)/g)]
  const files = [...action.matchAll(/(?:^| )add to (\/[^\s:,]+):$/g)]
  for (const [nth, line] of lines.entries()) {
    const [, file = '', number = ''] = places[nth] ?? []
    if (file !== '') replaceLine(file, Number(number), line)
    else fs.appendFileSync(files[0]?.[1] ?? '', `${line}\n`, 'latin1')
  }
  const others = /^delete line ([\d, ]+)/.exec(action)?.[1] ?? ''
  const [, file = '', number = ''] = places[0] ?? []
  for (const line of others === '' ? [] : others.split(', ').map(Number).reverse()) {
    if (line < Number(number)) deleteDefinition(file, line)
  }
  return lines.length > 0
}

function deleteDefinition(file: string, number: number): void {
  const text = fs.readFileSync(file, 'latin1')
  const found = readDefinitions(text).find(one => lineAt(text, one.start) === number)
  if (!found) return
  fs.writeFileSync(file, text.slice(0, found.start) + text.slice(found.end), 'latin1')
}

function replaceLine(file: string, number: number, line: string): void {
  const text = fs.readFileSync(file, 'latin1')
  const write = (start: number, end: number, by: string) =>
    fs.writeFileSync(file, text.slice(0, start) + by + text.slice(end), 'latin1')
  const lines = text.split('\n')
  const start = lines.slice(0, number - 1).join('\n').length + (number > 1 ? 1 : 0)
  if (path.basename(file) === 'main.cf') {
    const found = readDefinitions(text).find(one => lineAt(text, one.start) === number)
    const end = found?.end ?? start + (lines[number - 1]?.length ?? 0) + 1
    write(found?.start ?? start, end, `${line}\n`)
    return
  }
  const name = /(\w+) *=/.exec(line)?.[1] ?? ''
  const old = lines[number - 1] ?? ''
  // The option alone on its line, or one of several words.
  if (/^\s+-o/.test(old) && !/ -o.* -o/.test(old)) write(start, start + old.length, line)
  else {
    const option = new RegExp(`-o *(?:\\{ *)?${name} *=\\S*(?: [^-]*\\})?`)
    write(
      start,
      start + old.length,
      old.replace(option, () => line.trim()),
    )
  }
}

/** `mtpolicyctl postfix register`, as far as it changes files. */
export async function registerAll(directories: readonly string[], endpoints: readonly string[]) {
  const listeners = endpoints.flatMap(
    text => readListener(text.startsWith('/') ? `${text}|unix` : text) ?? [],
  )
  for (const directory of directories) {
    const instance = await readInstance(remembered, directory)
    if (isAbsent(instance)) throw new Error(instance.reason)
    const plan = await planRegistration(remembered, instance, { listeners, formerPorts: [] })
    for (const { name, after } of plan.changes) {
      fs.writeFileSync(path.join(directory, name), after, 'latin1')
    }
  }
}
