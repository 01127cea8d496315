/**
 * The short code at the end of a refusal, by which `mtpolicyctl why` finds it: `K3F-9QT`. People read it
 * to each other over the telephone, so it has no characters that are taken for others (0 O, 1 I L), and
 * neighbours in time do not look alike.
 */

const SYMBOLS = 'ABCDEFGHJKMNPQRSTUVWXYZ23456789'
const LENGTH = 6

/** There are this many codes: 31^6. */
export const DECISION_CODES = SYMBOLS.length ** LENGTH

/** Coprime to 31, so that each number has a code of its own; about 0.583 of all, so that neighbours are far apart. */
const SPREAD = 517_294_763n

/** The code of a decision's number, a whole number from 0; after 31^6 they come again. */
export function decisionCode(number: number): string {
  let rest = Number((BigInt(number) * SPREAD) % BigInt(DECISION_CODES))
  let code = ''
  for (let place = 0; place < LENGTH; place++) {
    code = (SYMBOLS[rest % SYMBOLS.length] ?? '') + code
    rest = Math.floor(rest / SYMBOLS.length)
  }
  return `${code.slice(0, LENGTH / 2)}-${code.slice(LENGTH / 2)}`
}

/** A code as somebody has typed it: any case, with or without hyphen and parentheses. Undefined: it is none. */
export function readDecisionCode(text: string): string | undefined {
  const plain = text.toUpperCase().replaceAll(/[\s()-]/g, '')
  const isCode = plain.length === LENGTH && [...plain].every(symbol => SYMBOLS.includes(symbol))
  return isCode ? `${plain.slice(0, LENGTH / 2)}-${plain.slice(LENGTH / 2)}` : undefined
}
