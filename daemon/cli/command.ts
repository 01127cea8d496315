/**
 * What a command is: a value that says how it is typed and what it does.
 *
 * A command is one file in commands/, and commands.ts lists them. `--help`, the manual page and
 * the completion of the shell are drawn from the same declarations that parse.ts parses by.
 */

import { filled } from '../text/wrap.ts'
import type { Host } from './host.ts'

/** What the shell offers in a place. */
export type Offer =
  | 'files'
  | 'directories'
  | 'variables'
  | 'assignments'
  | 'accounts'
  | 'codes'
  | readonly string[]

export interface OptionDeclaration {
  /** number: a whole number of at most four digits. */
  readonly type: 'boolean' | 'string' | 'number'
  readonly short?: string
  readonly default?: string
  readonly multiple?: boolean
  /** What its argument is called. */
  readonly argument?: string
  readonly offers?: Offer
  readonly doc: string
  /** Goes before the command, as in UCR. */
  readonly isFilter?: true
  /** Accepted after the operands as well, where UCR takes everything that follows for operands. */
  readonly mayFollow?: true
  /** Accepted because the original, or UCR, accepts it; not documented. */
  readonly isHidden?: true
}

export type Options = Readonly<Record<string, OptionDeclaration>>

type ValueOf<O extends OptionDeclaration> = O extends { readonly type: 'boolean' }
  ? boolean
  : O extends { readonly multiple: true }
    ? readonly string[]
    : O extends { readonly type: 'number' }
      ? number | undefined
      : O extends { readonly default: string }
        ? string
        : string | undefined

/** An option that was not given is false, empty or undefined. */
export type Values<O extends Options> = { readonly [Name in keyof O]: ValueOf<O[Name]> } & {
  readonly operands: readonly string[]
}

/** sysexits.h */
export const USAGE_ERROR = 64

/** 0 done, 1 refused or failed, 2 a value that does not fit its type, 3 done in part, 64 usage; UCR's own. */
export type ExitStatus = number

/** The same, as the parser makes it for any command. */
export type ParsedValues = Readonly<
  Record<string, boolean | number | string | readonly string[] | undefined>
> & { readonly operands: readonly string[] }

/** The headings under which commands are listed, in this order. */
export const groups = {
  look: 'Look: what happens, and why',
  act: 'Act: stop an account, or let it through',
  try: 'Try: before something changes',
  variables: 'Set: the configuration and its variables',
  web: 'The console in a browser',
  postfix: 'Postfix',
  package: 'The package (its installation runs these by itself)',
} as const

interface Declaration {
  /** One word, or two: `postfix register`. */
  readonly name: string
  readonly group: keyof typeof groups
  /** `[FILE]`, `NAME ...`, `NAME NUMBER`: brackets mean that there may be none, dots that there may be several. */
  readonly operands?: string
  readonly offers?: Offer
  /** One line for --help. */
  readonly summary: string
  /** The rest, for its own --help and for the manual; an empty line starts a paragraph. */
  readonly more: string
  /** What --json prints, for the manual; `{a, b}` names the members of the outermost object. */
  readonly json?: string
  /** ucr: parsed, and complained about, as UCR does. */
  readonly dialect?: 'ucr'
}

type Status = ExitStatus | Promise<ExitStatus>

interface TypedDeclaration<O extends Options> extends Declaration {
  readonly options?: O
  /** The exit status. What it throws is shown in one line, and the status is 1. */
  run(values: Values<O>, host: Host): Status
}

/** Any command, as the list and the parser know it. */
export interface Command extends Omit<Declaration, 'more' | 'dialect'> {
  readonly operands: string
  readonly options: Options
  readonly dialect: 'own' | 'ucr'
  /** The paragraphs of `more`, each in one line. */
  readonly paragraphs: readonly string[]
  run(values: ParsedValues, host: Host): Status
}

export function defineCommand<const O extends Options = Record<never, never>>({
  more,
  ...declared
}: TypedDeclaration<O>): Command {
  return {
    ...declared,
    operands: declared.operands ?? '',
    options: declared.options ?? {},
    dialect: declared.dialect ?? 'own',
    paragraphs: more.split(/\n\s*\n/).map(filled),
  }
}

/** Each heading that has commands, with these; within a heading in the order of the list. */
export function underHeadings(
  commands: readonly Command[],
): ReadonlyArray<readonly [heading: string, commands: readonly Command[]]> {
  return Object.entries(groups).flatMap(([key, heading]) => {
    const own = commands.filter(({ group }) => group === key)
    return own.length === 0 ? [] : [[heading, own] as const]
  })
}

/** How many operands a command takes. */
export function operandCount({ operands }: Pick<Command, 'operands'>): {
  readonly least: number
  readonly most: number
} {
  if (operands === '') return { least: 0, most: 0 }
  const words = operands.replace(/ ?\.\.\./, '').split(' ')
  const least = words.filter(word => !word.startsWith('[')).length
  return { least, most: operands.includes('...') ? Number.POSITIVE_INFINITY : words.length }
}
