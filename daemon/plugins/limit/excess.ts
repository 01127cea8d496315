/**
 * What happens to mail beyond a limit: one action, or grades that become stricter.
 *
 * `from 200 hold, from 400 reject`: a mail that brings what is used beyond 200 is held, and one that
 * would bring it beyond 400 is refused. Refused mail is not counted, so nothing comes after a grade
 * that refuses.
 */

import type { Reading, Remark, Setting } from '../../policy/setting.ts'
import { actionWarning, refusesMail } from '../../policy/verdict.ts'
import { excerpt } from '../../text/excerpt.ts'
import { readAmount } from './amount.ts'

export interface Grade {
  /** The action applies to mail that brings what is used beyond this number. */
  readonly beyond: number
  /** An action of access(5). Without a text of its own it gets that of the limit. */
  readonly action: string
}

export interface Excess {
  /** The only action, or that of the last grade. */
  readonly action: string
  /** Ascending, in the unit of the limit, not empty; undefined: the action applies beyond `threshold`. */
  readonly grades: readonly Grade[] | undefined
}

const EXPECTED =
  'reject, defer, hold or another action of access(5), or grades such as "from 200 hold, from 400 reject"'

/** A grade without its comma or its `from`, which would become the text of the one before. */
const FORGOTTEN = /(?:[^,\s]\s+from\s+|,\s*)\d+\s+(?:reject|defer|defer_if_permit|hold|discard)\b/i

export const REJECT: Excess = { action: 'reject', grades: undefined }

export const excess: Setting<Excess> = {
  doc: 'What happens to mail beyond the limit (reject).',
  expected: EXPECTED,
  required: false,
  fallback: REJECT,
  twin: false,
  repeatable: false,
  parse: text => (text === undefined ? undefined : parseExcess(text.trim())),
}

function parseExcess(text: string): Reading<Excess> | undefined {
  if (!/^from\b/i.test(text)) {
    if (text === '' || /,\s*from\s+\d/i.test(text)) return undefined
    return reading({ action: text, grades: undefined }, unknownAction([text]))
  }
  if (FORGOTTEN.test(text)) return undefined
  const grades: Grade[] = []
  for (const part of text.split(/\s*,\s*(?=from\b)/i)) {
    const [, number = '', action = ''] = /^from\s+(\S+)\s+(\S.*)$/is.exec(part) ?? []
    const beyond = readAmount(number)
    if (beyond === undefined || beyond === Number.POSITIVE_INFINITY) return undefined
    grades.push({ beyond, action: action.trim() })
  }
  const last = grades.at(-1)
  if (!last) return undefined
  const remark = wrongOrder(grades) ?? unknownAction(grades.map(({ action }) => action))
  return reading({ action: last.action, grades }, remark)
}

function reading(value: Excess, remark: Remark | undefined): Reading<Excess> {
  return remark ? { value, remark } : { value }
}

/** Does mail beyond a limit not get through? A number alone, such as 550, gets the limit's text. */
export const refusesExcess = (action: string): boolean => refusesMail(`${action} `)

function wrongOrder(grades: readonly Grade[]): Remark | undefined {
  const fatal = (message: string): Remark => ({ severity: 'fatal', message })
  for (const [index, { beyond, action }] of grades.entries()) {
    const next = grades[index + 1]
    if (!next) return undefined
    if (next.beyond === beyond) return fatal(`two grades begin at ${beyond}`)
    if (next.beyond < beyond) {
      return fatal(`expected ascending grades, but ${next.beyond} follows ${beyond}`)
    }
    if (refusesExcess(action)) {
      return fatal(
        `"from ${beyond} ${excerpt(action)}" refuses, and refused mail is not counted: ` +
          `"from ${next.beyond} ${excerpt(next.action)}" is never reached`,
      )
    }
  }
  return undefined
}

function unknownAction(actions: readonly string[]): Remark | undefined {
  const message = actions.map(actionWarning).find(one => one !== undefined)
  return message === undefined ? undefined : { severity: 'warning', message }
}
