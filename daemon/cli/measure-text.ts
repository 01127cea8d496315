/** Measures in words, for a terminal, and as JSON. */

import type { EndedMeasure, OrderedMeasure } from '../control/protocol.ts'
import { oneLine } from '../policy/verdict.ts'
import { printable } from '../text/columns.ts'
import { momentText } from '../text/when.ts'
import { wrap } from '../text/wrap.ts'

const COLUMNS = 79

/** A contract: these members, and no others. */
export function measureJson({ account, kind, value, until, by, why }: OrderedMeasure): object {
  return { account, kind, value, until, by, why }
}

export function endedJson(measure: EndedMeasure): object {
  const { at, how, ended, endedBy } = measure
  return { ...measureJson(measure), at, how, ended, endedBy }
}

/** Lines of a terminal; what comes from elsewhere must not control it. */
export function lineOf(text: string, indent = 0): string {
  if (text === '') return ''
  const lines = wrap(printable(oneLine(text)), COLUMNS - indent)
  return lines.map(line => `${' '.repeat(indent)}${line}\n`).join('')
}

/** `alice is blocked until released`. */
export function inForceText(measure: OrderedMeasure): string {
  return `${whatText(measure)} ${endText(measure)}`
}

function whatText({ account, kind, value }: OrderedMeasure): string {
  switch (kind) {
    case 'block':
      return `${account} is blocked`
    case 'allow':
      return `${account} may also send from ${value.replaceAll(',', ', ')}`
    case 'limit':
      return value.startsWith('unlimited')
        ? `${account} has no limit${value.slice('unlimited'.length)}`
        : `${account} has a limit of ${value}`
    case 'reset':
      return `${account}: count begins again at 0 (${value.replaceAll(',', ', ')})`
  }
}

function endText({ until }: OrderedMeasure): string {
  return until === null ? 'until released' : `until ${momentOf(until)}`
}

const momentOf = (iso: string): string => momentText(Date.parse(iso))

/** That a measure is no longer in force. */
export function releasedText({ account, kind, value }: OrderedMeasure): string {
  const values = value.replaceAll(',', ', ')
  switch (kind) {
    case 'block':
      return `${account} is no longer blocked.`
    case 'allow':
      return `${account}: the exception for ${values} has ended.`
    default:
      return `${account}: the measure "${kind} ${values}" has ended.`
  }
}

/** What is in force, and who has ordered it. */
export function measureText(measure: OrderedMeasure): string {
  const { by, at, why } = measure
  const reason = why === '' ? '' : `: ${why}`
  return (
    lineOf(`${whatText(measure)} ${endText(measure)}`) +
    lineOf(`ordered ${momentOf(at)} by ${by}${reason}`, 4)
  )
}

/** What was in force, who ordered it, and what ended it. */
export function endedText(measure: EndedMeasure): string {
  const { by, at, why, how, ended, endedBy } = measure
  const reason = why === '' ? '' : `: ${why}`
  const end = how === 'done' ? '' : `; ${how} ${momentOf(ended)}${endedBy && ` by ${endedBy}`}`
  const planned = measure.until === null ? '' : `, until ${momentOf(measure.until)}`
  const text = how === 'done' ? whatText(measure) : `${pastText(measure)}${planned}`
  return lineOf(text) + lineOf(`ordered ${momentOf(at)} by ${by}${end}${reason}`, 4)
}

function pastText({ account, kind, value }: OrderedMeasure): string {
  return `${account}: ${kind} ${value.replaceAll(',', ', ')}`.trimEnd()
}
