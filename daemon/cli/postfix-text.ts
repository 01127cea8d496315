/** What came of a registration, and what Postfix does now, in text of 80 columns. */

import type { PostfixStatus } from '../postfix/inspect.ts'
import type { RegistrationResult } from '../postfix/registration/registration.ts'
import type { Answer } from '../postfix/smtpd/protection.ts'
import { wrap } from '../text/wrap.ts'

const COLUMNS = 79

const HEADLINES: Readonly<Record<RegistrationResult['outcome'], string>> = {
  registered: 'registered',
  already: 'nothing to change',
  unregistered: 'unregistered, no longer queried',
  nothing: 'nothing to undo',
  'no-postfix': 'no Postfix to register with',
  refused: 'not registered',
  failed: 'failed, nothing changed',
}

/** As seen after the change, so a service that does not query the daemon is never shown as if it did. */
const ANSWERS: Readonly<Record<Answer, string>> = {
  asked: 'users log in; the daemon is queried about their mail',
  'not asked': 'users log in; THE DAEMON IS NOT QUERIED',
  perhaps: 'users log in; SOME OF THEIR MAIL MAY PASS UNCHECKED',
  refuses: 'accepts no mail from users',
  'no logins': 'no logins possible',
  'return path': 'receives mail back from a filter on this host',
}

export function resultText(result: RegistrationResult): string {
  const field = fieldsOf(result.services)
  const [head = '', ...more] = wrap(`${result.configDir}: ${headline(result)}`, COLUMNS)
  const lines = [head, ...more.map(line => `  ${line}`)]
  if (result.item) lines.push(...field('item', result.item))
  for (const { name, answer } of result.services ?? []) lines.push(...field(name, ANSWERS[answer]))
  if (result.outcome === 'registered' || result.outcome === 'unregistered') {
    lines.push(
      ...field('Postfix', result.reloaded ? 'reloaded' : 'not running, and was not started'),
    )
  }
  for (const variable of result.variables ?? []) {
    lines.push(...field(variable.includes('=') ? 'ucr set' : 'ucr unset', variable))
  }
  for (const reason of result.reasons) lines.push(...field(result.ok ? 'note' : 'why', reason))
  for (const { line, service } of result.linesToAdd ?? []) {
    const where = service === undefined ? 'main.cf' : `master.cf, below ${service}`
    // Indented lines continue the first, so this can be pasted as it is.
    const [first = '', ...rest] = wrap(line.trim(), 70)
    const indent = service === undefined ? '' : '  '
    lines.push(...field('add to', `${where}:`), '', indent + first)
    lines.push(...rest.map(more => `    ${more}`), '')
  }
  for (const note of result.notes) lines.push(...field('note', note))
  return `${lines.join('\n')}\n`
}

function headline({ outcome, coverage, services }: RegistrationResult): string {
  const words = HEADLINES[outcome]
  if (outcome !== 'registered' && outcome !== 'already') return words
  if (coverage === 'partial') return `${words}, but not for every service where users log in`
  if (coverage === 'none') return `${words}, but not queried where users log in`
  const isUsed = services?.some(({ answer }) => answer === 'asked')
  return isUsed ? `${words}; queried wherever users log in` : words
}

export function statusText(status: PostfixStatus): string {
  if (status.absent) return `${status.configDir}: ${status.absent}\n`
  const field = fieldsOf(status.services)
  const running = status.isRunning ? 'running' : 'not running'
  const lines = [`${status.configDir}: Postfix ${status.version}, ${running}`]
  lines.push(...field('item', status.item ?? 'none: mtpolicyctl postfix register'))
  if (status.staleItem) lines.push(...field('old item', `${status.staleItem}: register again`))
  if (status.item) {
    lines.push(...field('added', status.isRecorded ? 'by mtpolicyctl' : 'by someone else'))
  }
  for (const { name, answer } of status.services) lines.push(...field(name, ANSWERS[answer]))
  for (const { severity, where, what } of status.findings) {
    lines.push(...field(severity, `${where}: ${what.en}`))
  }
  for (const note of status.notes) lines.push(...field('note', note))
  return `${lines.join('\n')}\n`
}

/** Names in a column as wide as the longest of them. */
function fieldsOf(services: readonly { readonly name: string }[] = []) {
  const width = Math.max(10, ...services.map(({ name }) => name.length))
  return (name: string, text: string): string[] => {
    const label = `  ${name.padEnd(width)} `
    const [first = '', ...rest] = wrap(text, 80 - label.length)
    return [label + first, ...rest.map(line => ' '.repeat(label.length) + line)]
  }
}
