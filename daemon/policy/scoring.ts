/**
 * Scores of a mail: a sum, and a detail text that says who added what, as it was written.
 * Both live in the session under the operator's `score_field`.
 */

import { formatNumber, leadingNumber, type Session } from './session.ts'
import type { WrittenNumber } from './setting.ts'

/** Adds to the mail's score; the detail shows NAME=VALUE. */
export function addScore(
  session: Session,
  field: string,
  name: string,
  score: WrittenNumber,
): void {
  const sum = currentScore(session, field) + score.value
  session.set(field, sum)
  const detail = session.text(`${field}_detail`)
  const entry = `${name}=${score.text}`
  session.set(`${field}_detail`, detail ? `${detail}, ${entry}` : entry)
}

export function currentScore(session: Session, field: string): number {
  const value = session.get(field)
  if (typeof value === 'number') return value
  return leadingNumber(session.text(field) ?? '')
}

export function scoreDetail(session: Session, field: string): string {
  return session.text(`${field}_detail`) ?? ''
}

export function scoreText(session: Session, field: string): string {
  return formatNumber(currentScore(session, field))
}
