/** A row of doctor-table.ts as files that Postfix reads. */

import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { type Row, SERVICES } from '../postfix/doctor-table.ts'
import { BARE_MASTER_CF, bareMainCf, makeQueue } from './bare-postfix.ts'

export interface Places {
  readonly directory: string
  /** The daemon's port, and that of another policy server. */
  readonly port: number
  readonly otherPort: number
  readonly SMTP: number
  readonly SUBMISSION: number
  readonly THIRD: number
  /** A key with its certificate. */
  readonly pem: string
  /** An address of this host that is not a loopback one. */
  readonly lan: string
}

/** The text as it stands in the row's files. */
export function fillIn(text: string, { directory, port, otherPort, ...places }: Places): string {
  return text
    .replaceAll(/\bITEM\b/g, 'check_policy_service { ADDRESS, default_action=DUNNO, timeout=5s }')
    .replaceAll(/\bBARE\b/g, 'check_policy_service ADDRESS')
    .replaceAll(/\bADDRESS\b/g, 'inet:127.0.0.1:PORT')
    .replaceAll(/\bOTHER\b/g, 'check_policy_service inet:127.0.0.1:OTHERPORT')
    .replaceAll(/\bPORT\b/g, String(port))
    .replaceAll(/\bOTHERPORT\b/g, String(otherPort))
    .replaceAll(/\b(SMTP|SUBMISSION|THIRD)\b/g, (_, name: 'SMTP' | 'SUBMISSION' | 'THIRD') =>
      String(places[name]),
    )
    .replaceAll(/\bPEM\b/g, places.pem)
    .replaceAll(/\bLAN\b/g, places.lan)
    .replaceAll(/\bFILES\b/g, `${directory}/etc`)
    .replaceAll(/\bQUEUE\b/g, `${directory}/queue`)
}

/** Writes main.cf, master.cf and what they name; the instances' directories, the primary first. */
export function writeSetup(row: Row, places: Places): string[] {
  const { directory } = places
  const second = path.join(directory, 'second')
  const multi = row.second ? `multi_instance_directories = ${second}/etc\n` : ''
  writeInstance(directory, `${multi}${row.main ?? ''}\n`, row.services, places)
  for (const [name, text] of Object.entries(row.files ?? {})) {
    fs.writeFileSync(path.join(directory, 'etc', name), text)
  }
  if (!row.second) return [path.join(directory, 'etc')]
  const main = `multi_instance_enable = yes\nmulti_instance_name = postfix-msa\n${row.second.main ?? ''}\n`
  writeInstance(second, main, row.second.services, places)
  return [path.join(directory, 'etc'), path.join(second, 'etc')]
}

function writeInstance(
  directory: string,
  main: string,
  services: string | undefined,
  places: Places,
): void {
  fs.mkdirSync(path.join(directory, 'etc'), { recursive: true })
  makeQueue(directory)
  const own = new Set([...main.matchAll(/^(\w+)\s*=/gm)].map(match => match[1]))
  const base = bareMainCf(directory)
    .split(/(?<=\n)/)
    .filter(line => !own.has(/^\w+/.exec(line)?.[0]))
  const write = (name: string, text: string) =>
    fs.writeFileSync(path.join(directory, 'etc', name), fillIn(text, places), 'latin1')
  write('main.cf', `${base.join('')}${main}`)
  write('master.cf', `${services ?? SERVICES}${BARE_MASTER_CF}`)
}

/** An address of this host beside the loopback. */
export function lanAddress(): string {
  const all = Object.values(os.networkInterfaces()).flatMap(list => list ?? [])
  const found = all.find(({ family, internal }) => family === 'IPv4' && !internal)
  return found?.address ?? '127.0.0.9'
}
