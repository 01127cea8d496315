/**
 * The commands that let this host say XCLIENT to a service, and those that take it back. They are for a short
 * time: a program that can connect from there can send as any account.
 */

import { isIPv6 } from 'node:net'
import type { PostfixInstance, SmtpdService } from './instance.ts'

const PARAMETER = 'smtpd_authorized_xclient_hosts'
const USUAL = '/etc/postfix'

export interface XclientCommands {
  readonly allow: readonly string[]
  readonly takeBack: readonly string[]
}

/** @param client this host, as Postfix sees it */
export function xclientCommands(
  { configDir }: Pick<PostfixInstance, 'configDir'>,
  { name, parameters }: SmtpdService,
  client: string,
): XclientCommands {
  const of = configDir === USUAL ? '' : ` -c ${configDir}`
  const { origin, value } = parameters.setting(PARAMETER)
  const place = origin === 'master.cf' ? `-P '${name}/${PARAMETER}` : `-e '${PARAMETER}`
  const set = (text: string): string => `postconf${of} ${`${place} = ${text.trim()}`.trim()}'`
  const unset = `postconf${of} -X ${PARAMETER}`
  const reload = `postfix${of} reload`
  const host = isIPv6(client) ? `[${client}]` : client
  return {
    allow: [set(`${value} ${host}`), reload],
    takeBack: [origin === 'default' ? unset : set(value), reload],
  }
}
