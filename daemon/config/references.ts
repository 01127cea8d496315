/**
 * Names in a configuration that nothing has: blocks, keys of the session, attributes of a request.
 *
 * Settings declare what their texts name (`names` in policy/setting.ts); here they are compared
 * with all plugins of the file. Everything is a warning, and only what is certain is one: a key
 * counts as known as soon as a plugin is there that may set any key.
 */

import type { Plugin } from '../policy/plugin.ts'
import { nearestName, type Problem, warning } from '../policy/problem.ts'
import {
  didYouMean,
  type Names,
  type Section,
  type SectionOption,
  type Setting,
} from '../policy/setting.ts'
import { excerpt } from '../text/excerpt.ts'

/** A <Plugin> of the file, in the order of the file. */
export interface UsedPlugin {
  readonly plugin: Plugin
  readonly name: string
  readonly block: Section
  /** The virtual host it belongs to. */
  readonly host: string
}

/** What Postfix 3.11 sends (SMTPD_POLICY_README), and what one may send besides. */
const ATTRIBUTES = (
  'request protocol_state protocol_name helo_name queue_id sender recipient recipient_count ' +
  'client_address client_name client_port reverse_client_name server_address server_port instance ' +
  'sasl_method sasl_username sasl_sender size etrn_domain stress policy_context ccert_subject ' +
  'ccert_issuer ccert_fingerprint ccert_pubkey_fingerprint encryption_protocol encryption_cipher ' +
  'encryption_keysize compatibility_level mail_version type'
).split(' ')

/** Also what is wrong with a block because of another one. @param isOwn is this a plugin of the operator's own, of which nothing is known? */
export function checkReferences(
  used: readonly UsedPlugin[],
  isOwn: (plugin: Plugin) => boolean,
  problems: Problem[],
): void {
  for (const plugin of new Set(used.map(one => one.plugin))) {
    plugin.compare?.(
      used.filter(one => one.plugin === plugin),
      problems,
    )
  }
  const keys = knownKeys(used, isOwn)
  used.forEach((one, index) => {
    for (const [name, setting] of Object.entries(one.plugin.settings)) {
      for (const option of one.block.options) {
        const heading = `in <Plugin ${one.block.name}>`
        const say = (message: string): void => {
          problems.push(warning(option.valuePlace, `"${option.name}" ${heading}: ${message}`))
        }
        if (option.name === `uc_${name}` && setting.twin && option.value !== undefined) {
          checkKey(option.value, keys, say)
        } else if (option.name === name && setting.names) {
          checkOption(option, setting.names, { used, index, keys, say })
        }
      }
    }
  })
}

interface Around {
  readonly used: readonly UsedPlugin[]
  readonly index: number
  readonly keys: ReadonlySet<string> | undefined
  say(message: string): void
}

function checkOption({ value = '' }: SectionOption, names: Names, around: Around): void {
  switch (names.kind) {
    case 'block':
      checkBlock(value, names.module, around)
      break
    case 'attribute':
      checkAttribute(value, around.say)
      break
    case 'value': {
      const [, scope = 'r', name = ''] = /^(?:([^:]*):)?(.*)$/s.exec(value) ?? []
      if (scope === 's' || scope === 'session') checkKey(name, around.keys, around.say)
      if (scope === 'r' || scope === 'request') checkAttribute(name, around.say)
    }
  }
}

function checkBlock(name: string, module: string, { used, index, say }: Around): void {
  const ofKind = used.filter(({ plugin }) => plugin.name === module)
  const meant = ofKind.filter(one => one.name === name)
  if (meant.length === 0) {
    const names = ofKind.map(one => one.name)
    say(`there is no ${module} block "${excerpt(name)}"${didYouMean(name, names)}`)
    return
  }
  const host = used[index]?.host
  // Another virtual host may have handled an earlier request of the same mail.
  const isLater = meant.every(one => one.host === host && used.indexOf(one) > index)
  if (isLater) say(`the ${module} block "${excerpt(name)}" runs after this one`)
}

/** Only a near miss: a front end of Postfix's may send more. */
function checkAttribute(name: string, say: Around['say']): void {
  if (ATTRIBUTES.includes(name)) return
  const near = nearestName(name, ATTRIBUTES)
  if (near !== undefined) {
    say(`Postfix sends no attribute "${excerpt(name)}"; did you mean "${near}"?`)
  }
}

function checkKey(key: string, keys: Around['keys'], say: Around['say']): void {
  // Marks and results that plugins keep for themselves have a dash.
  if (!keys || keys.has(key) || key.includes('-')) return
  say(`no plugin of this file sets "${excerpt(key)}"${didYouMean(key, [...keys])}`)
}

/** Undefined if some plugin may set any key. */
function knownKeys(
  used: readonly UsedPlugin[],
  isOwn: (plugin: Plugin) => boolean,
): ReadonlySet<string> | undefined {
  const keys = new Set<string>()
  for (const { plugin, block } of used) {
    if (isOwn(plugin)) return undefined
    for (const [name, setting] of Object.entries(plugin.settings)) {
      if (setting.names?.kind === 'any-key') return undefined
      if (setting.names?.kind !== 'key') continue
      for (const key of textsOf(block, name, setting)) {
        keys.add(key)
        if (setting.names.isScore) keys.add(`${key}_detail`)
      }
    }
  }
  return keys
}

/** What is written, or what counts where nothing is. */
function textsOf({ options }: Section, name: string, setting: Setting<unknown>): string[] {
  const written = options.find(option => option.name === name)?.value ?? setting.fallback
  return typeof written === 'string' ? written.split(/\s*,\s*/) : []
}
