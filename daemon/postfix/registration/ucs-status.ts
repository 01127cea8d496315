/**
 * How Postfix on a UCS server really queries the daemon, whatever the variables say.
 *
 * main.cf.local and master.cf.local override UCR's templates, so the resulting configuration is
 * inspected. Nothing is changed here.
 */

import { type Inspection, inspectInstance } from '../findings/findings.ts'
import { endpointName } from '../smtpd/endpoint.ts'
import { END_OF_DATA } from '../smtpd/restriction-list.ts'
import { recognise } from './own-items.ts'
import { protectionNotes } from './protection-notes.ts'
import { targetOf, type UcsOptions } from './registration.ts'
import { openUcsRecord, type UcsRecord } from './ucs-record.ts'
import { INBOUND, inboundEntries } from './ucs-variables.ts'

export function inspectUcs(options: UcsOptions, configDir: string): Promise<Inspection> {
  return inspectInstance(options.run, configDir, targetOf(options))
}

/**
 * Our entries that do not take effect, and services where users log in and the daemon is not
 * queried.
 */
export function missing({ ucr, endpoint }: UcsOptions, inspection: Inspection): string[] {
  const list = inspection.instance?.parameters.value('smtpd_recipient_restrictions') ?? ''
  const lost = inboundEntries(ucr.view(), [endpoint]).filter(
    () => recognise(list, [endpoint]).length === 0,
  )
  return [
    ...lost.map(key => `${key} does not reach smtpd_recipient_restrictions (see main.cf.local)`),
    ...protectionNotes(inspection).problems,
  ]
}

/** The item, if every service where users log in queries the daemon. */
export function itemOnUcs({ protections }: Inspection): string | undefined {
  const users = protections.filter(({ answer }) =>
    ['asked', 'not asked', 'perhaps'].includes(answer),
  )
  if (users.length === 0 || users.some(({ answer }) => answer !== 'asked')) return undefined
  return users[0]?.queries.find(({ list }) => list === END_OF_DATA)?.text
}

/** For `status`: what we set, and what else queries the daemon. */
export function statusOnUcs({ ucr, endpoint, stateFile }: UcsOptions, inspection: Inspection) {
  const item = itemOnUcs(inspection)
  const notes = [...protectionNotes(inspection).notes]
  const record = readableRecord(stateFile, notes)
  const values = ucr.view().merged
  const ours = (record?.variables ?? []).filter(({ key, written }) => values.get(key) === written)
  const options = ours.filter(({ key }) => key.endsWith(`/${END_OF_DATA}`))
  const isElsewhere = record && endpointName(record.endpoint) !== endpointName(endpoint)
  const stale = isElsewhere ? recognise(options[0]?.written ?? '', [record.endpoint])[0] : undefined
  for (const { key, written } of ours) notes.push(`set in UCR: ${key}=${written}`)
  for (const key of inboundEntries({ layers: [], merged: values }, [endpoint])) {
    if (!ours.some(entry => entry.key === key)) {
      notes.push(
        `set by an administrator: ${INBOUND}${key.slice(INBOUND.length)}=${values.get(key)}`,
      )
    }
  }
  return {
    ...(item === undefined ? {} : { item }),
    isRecorded: item !== undefined && options.length > 0 && stale === undefined,
    ...(stale === undefined ? {} : { staleItem: stale }),
    notes,
  }
}

/** The record is readable by root only; without it, status still shows what Postfix and UCR say. */
function readableRecord(stateFile: string, notes: string[]): UcsRecord | undefined {
  try {
    return openUcsRecord(stateFile).record
  } catch (error) {
    if (!(error instanceof Error)) throw error
    notes.push(`cannot read the record of registrations: ${error.message}`)
    return undefined
  }
}
