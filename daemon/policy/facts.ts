/**
 * Facts: what a plugin has found out about a mail, for the log line, statistics and `explain`.
 *
 * A plugin declares the facts it notes, as it declares its settings; the log, its manual and later
 * readers draw from the declaration.
 */

export type FactValue = string | number | boolean

export interface FactDeclaration<T extends FactValue = FactValue> {
  readonly doc: string
  /** Where a log line has it: after the client's address, or after the plugin that decided. */
  readonly about: 'client' | 'decision'
  /** Never set; carries the type. */
  readonly type?: T
}

export type FactDeclarations = Readonly<Record<string, FactDeclaration>>

/** The facts of one mail; what was not found out is absent. */
export type Facts<F extends FactDeclarations = FactDeclarations> = {
  -readonly [name in keyof F]?: F[name] extends FactDeclaration<infer T> ? T : never
}

export function fact<T extends FactValue>(
  about: FactDeclaration['about'],
  doc: string,
): FactDeclaration<T> {
  return { about, doc }
}

/** A fact in a log line: its name, and ` NAME=`, which stands before its value. */
export interface FactName {
  readonly name: string
  readonly head: string
}

/** Facts in the order of a log line. */
export interface FactNames {
  readonly client: readonly FactName[]
  readonly decision: readonly FactName[]
}

export const factName = (name: string): FactName => ({ name, head: ` ${name}=` })

/** All facts that these plugins may note, each name once, in the plugins' order. */
export function factNames(plugins: readonly { readonly facts?: FactDeclarations }[]): FactNames {
  const client = new Set<string>()
  const decision = new Set<string>()
  for (const { facts = {} } of plugins) {
    for (const [name, { about }] of Object.entries(facts)) {
      if (client.has(name) || decision.has(name)) continue
      if (about === 'client') client.add(name)
      else decision.add(name)
    }
  }
  return { client: [...client].map(factName), decision: [...decision].map(factName) }
}

/** Fields that every verdict's line has, or may have, by itself. */
export const verdictFieldNames: ReadonlySet<string> = new Set(
  'event level time msg instance user client rcpt size verdict code why decided observed by ms'.split(
    ' ',
  ),
)
