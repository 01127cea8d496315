/**
 * Works out what to write where so that Postfix queries the daemon about everybody who logs in.
 * Nothing is changed here: the plan is two texts, checked as smtpd would read them.
 *
 * The place is the end-of-data list in effect for a service: main.cf's, or the service's own in
 * master.cf. Existing items for an endpoint that the daemon has left are moved; only where a
 * service still does not query the daemon is an item added, first in the list.
 */

import type { Run } from '../../system/external-program.ts'
import { protocolsOf, restrictionItem, serverFor, withoutBlanks } from '../smtpd/endpoint.ts'
import {
  isAbsent,
  type PostfixInstance,
  readInstance,
  type SmtpdService,
} from '../smtpd/instance.ts'
import { insertItem } from '../smtpd/main-cf.ts'
import { insertIntoOption, optionOf, readServices } from '../smtpd/master-cf.ts'
import { lookUp } from '../smtpd/network.ts'
import { formatServer, type PolicyServer } from '../smtpd/policy-item.ts'
import { type Protection, protectionsOf } from '../smtpd/protection.ts'
import type { Target } from '../smtpd/reach.ts'
import { END_OF_DATA, tokenise } from '../smtpd/restriction-list.ts'
import { findGenerator } from './generated-file.ts'
import { moveItems } from './items.ts'
import type { Change, Edit, FileName } from './registration-record.ts'

/** What somebody else has to do: a file is generated, or the daemon is unreachable. */
export interface LeftAlone {
  /** Absent: all services that use main.cf's list. */
  readonly service?: string
  readonly why: string
  /** A line for the named file that works when added as it stands; checked by Postfix. */
  readonly lineToAdd?: string
}

export interface RegistrationPlan {
  readonly edits: readonly Edit[]
  readonly changes: readonly Change[]
  /** Servers in items that were moved: old text, new text. */
  readonly moved: ReadonlyMap<string, PolicyServer>
  readonly left: readonly LeftAlone[]
  /** The instance as it will be. */
  readonly protections: readonly Protection[]
}

interface Draft {
  mainCf: string
  masterCf: string
}

/** `move`: existing items follow the daemon; none are added. */
export async function planRegistration(
  run: Run,
  instance: PostfixInstance,
  target: Target,
  scope: 'all' | 'move' = 'all',
): Promise<RegistrationPlan> {
  const draft: Draft = { mainCf: instance.mainCf.text, masterCf: instance.masterCf.text }
  const left: LeftAlone[] = []
  const edits: Edit[] = []
  const generator = findGenerator(draft.mainCf, instance.mainCf.file)
  const generated: Readonly<Record<FileName, string | undefined>> = {
    'main.cf': generator,
    // Proxmox marks main.cf only, but generates both.
    'master.cf':
      findGenerator(draft.masterCf, instance.masterCf.file) ??
      (/proxmox/i.test(generator ?? '') ? generator : undefined),
  }
  const look = async () => {
    const now = await readInstance(run, instance.configDir, draft)
    if (isAbsent(now)) throw new Error(now.reason)
    return protectionsOf(now, target, await lookUp(now))
  }

  let protections = protectionsOf(instance, target, await lookUp(instance))
  const moved = movesOf(protections, target)
  for (const name of ['main.cf', 'master.cf'] as const) {
    if (generated[name] !== undefined) continue
    const key = name === 'main.cf' ? 'mainCf' : 'masterCf'
    for (const [old, server] of moved) {
      draft[key] = moveItems(name, draft[key], text => text === old, server)
    }
  }
  if (moved.size > 0) protections = await look()

  if (scope === 'all' && needsMainCf(protections)) {
    const server = serverFor(target.listeners, protocols(instance))
    if ('why' in server) {
      left.push({ why: server.why })
    } else if (generated['main.cf'] !== undefined) {
      left.push(generatedMainCf(instance, generated['main.cf'], server))
    } else {
      const item = restrictionItem(server, instance.version)
      const { text, inserted, created } = insertItem(draft.mainCf, END_OF_DATA, item)
      draft.mainCf = text
      edits.push({ file: 'main.cf', parameter: END_OF_DATA, item, inserted, created })
      protections = await look()
    }
  }
  for (const { service } of scope === 'all' ? protections.filter(needsItsOwn) : []) {
    const why = generated['master.cf']
    const result = why === undefined ? intoService(draft, instance, service, target) : undefined
    if (result === undefined) left.push(generatedMasterCf(instance, service, why ?? '', target))
    else if ('why' in result) left.push(result)
    else edits.push(result)
  }
  const changes: Change[] = [
    { name: 'main.cf' as const, before: instance.mainCf.text, after: draft.mainCf },
    { name: 'master.cf' as const, before: instance.masterCf.text, after: draft.masterCf },
  ].filter(({ before, after }) => before !== after)
  return { edits, changes, moved, left, protections: await look() }
}

/**
 * Items that miss the daemon, and the server each has to name instead. Items that no server would
 * fix are left out.
 */
function movesOf(
  protections: readonly Protection[],
  { listeners }: Target,
): Map<string, PolicyServer> {
  const moves = new Map<string, PolicyServer>()
  for (const { missed, service } of protections) {
    const server = serverFor(listeners, protocols(service))
    if ('why' in server) continue
    for (const { query } of missed) moves.set(formatServer(query.item.server), server)
  }
  return moves
}

/**
 * Does a service where users log in lack an item in main.cf's list? Or is there no such service
 * yet?
 */
function needsMainCf(protections: readonly Protection[]): boolean {
  const users = protections.filter(hasUsers)
  const inMainCf = protections.filter(({ service }) => !hasOwnList(service))
  if (users.length > 0) return users.some(one => !one.isAskedAtEnd && !hasOwnList(one.service))
  // Nobody can log in yet: add the item, so that the host is protected once logins are enabled.
  return inMainCf.length > 0 && !inMainCf.some(({ isAskedAtEnd }) => isAskedAtEnd)
}

function needsItsOwn(protection: Protection): boolean {
  return hasUsers(protection) && !protection.isAskedAtEnd && hasOwnList(protection.service)
}

function hasUsers({ answer }: Protection): boolean {
  return answer === 'asked' || answer === 'not asked' || answer === 'perhaps'
}

function hasOwnList({ parameters }: SmtpdService): boolean {
  return parameters.setting(END_OF_DATA).origin === 'master.cf'
}

function protocols({ parameters }: Pick<SmtpdService, 'parameters'>) {
  return protocolsOf(parameters.value('inet_protocols'))
}

function intoService(
  draft: Draft,
  instance: PostfixInstance,
  { name, parameters }: SmtpdService,
  { listeners }: Target,
): Edit | LeftAlone {
  const server = serverFor(listeners, protocols({ parameters }))
  if ('why' in server) return { service: name, why: server.why }
  const master = readServices(draft.masterCf).find(one => one.name === name)
  const option = master && optionOf(master, END_OF_DATA)
  if (!option) return { service: name, why: `${name} has disappeared from master.cf` }
  const plain = restrictionItem(server, instance.version)
  const item = option.isBraced ? plain : withoutBlanks(plain)
  const { text, inserted } = insertIntoOption(draft.masterCf, option, item)
  draft.masterCf = text
  return {
    file: 'master.cf',
    service: name,
    parameter: END_OF_DATA,
    item,
    inserted,
    created: false,
  }
}

function generatedMainCf(
  { mainCf, version, parameters }: PostfixInstance,
  generator: string,
  server: PolicyServer,
): LeftAlone {
  const rest = words(parameters.setting(END_OF_DATA).value)
  const list = [restrictionItem(server, version), ...rest].join(', ')
  return {
    why: `${mainCf.file} is generated ("${generator}"), so an edit would be lost. Add to its source:`,
    lineToAdd: `${END_OF_DATA} = ${list}`,
  }
}

function generatedMasterCf(
  { masterCf, version }: PostfixInstance,
  { name, master, parameters }: SmtpdService,
  generator: string,
  { listeners }: Target,
): LeftAlone {
  const server = serverFor(listeners, protocols({ parameters }))
  if ('why' in server) return { service: name, why: server.why }
  return {
    service: name,
    why:
      `${masterCf.file} is generated ("${generator}"), so an edit would be lost. ` +
      `In its source, replace the service's ${END_OF_DATA} with:`,
    lineToAdd: optionLine(
      restrictionItem(server, version),
      optionOf(master, END_OF_DATA)?.value ?? '',
    ),
  }
}

/**
 * An option of master.cf that begins with the item, in braces if the value contains spaces (Postfix
 * 3.0).
 */
function optionLine(item: string, list: string): string {
  const rest = words(list)
  if (rest.every(word => !/\s/.test(word))) {
    return `  -o ${END_OF_DATA}=${[withoutBlanks(item), ...rest].join(',')}`
  }
  return `  -o { ${END_OF_DATA} = ${[item, ...rest].join(', ')} }`
}

function words(list: string): string[] {
  return tokenise(list).map(({ text }) => text)
}
