/**
 * doctor: what is wrong, where, and how to fix it.
 *
 * Looks at Postfix's configuration as smtpd will use it, at the daemon by a request as smtpd would
 * make it, and at the data. Changes nothing.
 */

import { diagnose, type Seen } from '../../diagnosis/diagnosis.ts'
import { lookAtHost } from '../../diagnosis/look.ts'
import { isTrouble, languageOf } from '../../policy/finding.ts'
import type { Inspection } from '../../postfix/findings/findings.ts'
import { defineCommand } from '../command.ts'
import { findingJson, findingsText, type Language } from '../finding-text.ts'
import type { Host } from '../host.ts'
import { configDir, json as jsonOption } from '../options.ts'
import { postfixFor } from '../postfix-call.ts'

export const doctor = defineCommand({
  name: 'doctor',
  group: 'look',
  summary: 'find what is wrong, and the line or command that fixes it',
  more: `
    Reads the configuration of Postfix as its smtpd will use it, sends a request as Postfix would,
    and looks at counts, country data, clock and disk. Shows every finding with its place and its
    remedy, worst first; in German if the locale is German. Changes nothing. The exit status is 1
    if there is an error or a warning, otherwise 0.
  `,
  json: '{findings}: each has id, subject, severity, where, service, what, why and remedy, in English.',
  options: { json: jsonOption, 'config-dir': configDir },
  async run({ json, 'config-dir': configDirs }, host) {
    const seen = await look(host, configDirs)
    const findings = diagnose(seen)
    if (json) {
      host.out(`${JSON.stringify({ findings: findings.map(findingJson) }, undefined, 2)}\n`)
    } else if (findings.length > 0) host.out(findingsText(findings, languageOf(host.env)))
    else host.out(allIsWell(seen.inspections, languageOf(host.env)))
    return findings.some(isTrouble) ? 1 : 0
  },
})

async function look(host: Host, configDirs: readonly string[]): Promise<Seen> {
  const status = await host.daemon.status()
  const postfix = await postfixFor(host, configDirs, status)
  const problems = await host.configuration.onDisk()
  return lookAtHost({ status, postfix, paths: host.paths, now: host.clock.now(), problems })
}

function allIsWell(inspections: readonly Inspection[], language: Language): string {
  const asked = inspections.flatMap(({ protections }) =>
    protections.flatMap(({ answer, service }) => (answer === 'asked' ? [service.name] : [])),
  )
  const where = asked.join(', ')
  return language === 'de'
    ? `Nichts gefunden. Postfix fragt den Dienst bei aller Mail von Benutzern: ${where}\n`
    : `Nothing found. Postfix queries the daemon about all mail from users: ${where}\n`
}
