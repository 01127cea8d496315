/**
 * What Postfix on a UCS server really asks, whatever the variables say.
 *
 * main.cf.local and master.cf.local have the last word over UCR's templates, so Postfix itself is
 * asked. Nothing is changed here.
 */

import type { PostfixInstance } from './instance.ts'
import { otherPlaces, type UcsOptions } from './registration.ts'
import { END_OF_DATA, type Endpoint, endpointName, recognise } from './restriction-list.ts'
import { openUcsRecord, type UcsRecord } from './ucs-record.ts'
import { INBOUND, inboundEntries } from './ucs-variables.ts'

/** Own entries that do not arrive, and services where users log in unasked. */
export function missing({ ucr, endpoint }: UcsOptions, instance: PostfixInstance): string[] {
  const list = instance.settings.get('smtpd_recipient_restrictions') ?? ''
  const lost = inboundEntries(ucr.view(), [endpoint]).filter(() => !recognised(list, endpoint))
  return [
    ...lost.map(key => `${key} does not reach smtpd_recipient_restrictions (see main.cf.local)`),
    ...silent(instance, endpoint),
  ]
}

function silent(instance: PostfixInstance, endpoint: Endpoint): string[] {
  return instance.services
    .filter(({ authenticates }) => authenticates)
    .filter(({ override }) => !recognised(override ?? instance.endOfData, endpoint))
    .map(({ name }) => `users log in at ${name}, which does not ask (see master.cf.local)`)
}

/** The item, if every service at which users log in asks. */
export function itemOnUcs(instance: PostfixInstance, endpoint: Endpoint): string | undefined {
  const services = instance.services.filter(({ authenticates }) => authenticates)
  if (services.length === 0 || silent(instance, endpoint).length > 0) return undefined
  return recognise(services[0]?.override ?? instance.endOfData, [endpoint])[0]
}

function recognised(list: string, endpoint: Endpoint): boolean {
  return recognise(list, [endpoint]).length > 0
}

/** For `status`: what we set, and what asks besides. */
export function statusOnUcs({ ucr, endpoint, stateFile }: UcsOptions, instance: PostfixInstance) {
  const item = itemOnUcs(instance, endpoint)
  const notes = otherPlaces(instance, endpoint)
  const record = readableRecord(stateFile, notes)
  const values = ucr.view().merged
  const ours = (record?.variables ?? []).filter(({ key, written }) => values.get(key) === written)
  const options = ours.filter(({ key }) => key.endsWith(`/${END_OF_DATA}`))
  const isElsewhere = record && endpointName(record.endpoint) !== endpointName(endpoint)
  const stale = isElsewhere ? recognise(options[0]?.written ?? '', [record.endpoint])[0] : undefined
  for (const { key, written } of ours) notes.push(`set in UCR: ${key}=${written}`)
  for (const key of inboundEntries({ layers: [], merged: values }, [endpoint])) {
    if (!ours.some(entry => entry.key === key)) {
      notes.push(`an administrator's: ${INBOUND}${key.slice(INBOUND.length)}=${values.get(key)}`)
    }
  }
  return {
    ...(item === undefined ? {} : { item }),
    isRecorded: item !== undefined && options.length > 0 && stale === undefined,
    ...(stale === undefined ? {} : { staleItem: stale }),
    notes,
  }
}

/** The record is root's; whoever may not read it still sees what Postfix and UCR say. */
function readableRecord(stateFile: string, notes: string[]): UcsRecord | undefined {
  try {
    return openUcsRecord(stateFile).record
  } catch (error) {
    if (!(error instanceof Error)) throw error
    notes.push(`the record of registrations cannot be read: ${error.message}`)
    return undefined
  }
}
