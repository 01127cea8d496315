/**
 * A size is known at the end of a message only. A limit in megabytes counts nothing for mail of a
 * service that queries the daemon at RCPT or DATA and never at the end.
 */

import { configFiles } from '../config/files.ts'
import { parseConfig } from '../config/parser.ts'
import { type Problem, warning } from '../policy/problem.ts'
import type { Section, SectionOption } from '../policy/setting.ts'
import { inspectAll } from '../postfix/inspect.ts'
import type { RegistrationOptions } from '../postfix/registration/registration.ts'
import type { Protection } from '../postfix/smtpd/protection.ts'
import { END_OF_DATA } from '../postfix/smtpd/restriction-list.ts'

/** A warning at each limit in megabytes, if Postfix does not tell the size. */
export async function checkStages(
  file: string,
  options: RegistrationOptions,
): Promise<readonly Problem[]> {
  const found = megabytesIn(parseConfig(file, configFiles).root)
  if (found.length === 0) return []
  const { inspections } = await inspectAll(options)
  const early = inspections.flatMap(({ protections }) => protections.filter(isEarly))
  if (early.length === 0) return []
  const where = groupedBy(early, ({ instance, queries }) => {
    const states = [...new Set(queries.map(({ state }) => state))]
    return `Postfix (${instance.configDir}) queries the daemon only at ${states.join(', ')}`
  })
  return found.map(({ name, valuePlace }) => {
    const what =
      name === 'unit'
        ? 'megabytes are counted at END-OF-MESSAGE'
        : 'the size is known at END-OF-MESSAGE, before only if the client announces it'
    return warning(valuePlace, `${what}, but ${where}: expected ${END_OF_DATA}`)
  })
}

function groupedBy(all: readonly Protection[], said: (one: Protection) => string): string {
  const groups = Map.groupBy(all, said)
  return [...groups]
    .map(([text, ones]) => `${text}, for ${ones.map(({ service }) => service.name).join(', ')}`)
    .join('; ')
}

function isEarly({ queries }: Protection): boolean {
  return queries.length > 0 && !queries.some(({ state }) => state === 'END-OF-MESSAGE')
}

function megabytesIn(section: Section): SectionOption[] {
  const isLimit = section.options.some(
    ({ name, value }) => name === 'module' && value?.toLowerCase() === 'sendinglimit',
  )
  const own = isLimit ? [section, ...section.blocks].flatMap(({ options }) => options) : []
  return [
    ...own.filter(
      ({ name, value }) =>
        name === 'most_megabytes' || (name === 'unit' && value?.toLowerCase() === 'megabytes'),
    ),
    ...section.blocks.flatMap(megabytesIn),
  ]
}
