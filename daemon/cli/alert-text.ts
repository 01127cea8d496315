/** Alerts as people and programs read them. */

import { isCommand, remedySteps } from '../alerts/delivery/remedy-steps.ts'
import type { Words } from '../policy/finding.ts'
import type { ListedAlert } from '../policy/ports/alerts.ts'
import { printable } from '../text/columns.ts'
import { momentText } from '../text/when.ts'
import { lineOf } from './measure-text.ts'

const CLEARED: Words = { en: 'no longer: ', de: 'nicht mehr: ' }
const WAITS: Words = { en: 'not yet told by', de: 'noch nicht gemeldet über' }

/** For programs, in English whatever the locale. */
export function alertJson({ key, at, what, why, remedy, ...rest }: ListedAlert): object {
  const time = new Date(at).toISOString()
  return { ...rest, at: time, what: what.en, why: why.en, remedy: remedy.en }
}

/** When and what; for what holds also what to do. */
export function alertText(alert: ListedAlert, language: keyof Words): string {
  const { at, state, what, remedy, waitsFor } = alert
  const head = state === 'cleared' ? CLEARED[language] : ''
  const moment = `${momentText(at)}  `
  const indent = moment.length
  const lines = [`${moment}${lineOf(`${head}${what[language]}`, indent).slice(indent)}`]
  if (state === 'raised')
    lines.push(...remedySteps(remedy[language]).map(step => stepText(step, indent)))
  if (waitsFor.length > 0) {
    lines.push(lineOf(`(${WAITS[language]} ${waitsFor.join(', ')})`, indent))
  }
  return lines.join('')
}

/** A command is copied, so it is one line. */
function stepText(step: string, indent: number): string {
  return isCommand(step) ? `${' '.repeat(indent)}${printable(step)}\n` : lineOf(step, indent)
}
