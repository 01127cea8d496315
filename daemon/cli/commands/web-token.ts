/** web token: what programs, and people without a login on this host, log in to the console with. */

import type { NewWebToken, WebToken } from '../../control/protocol.ts'
import { defineCommand, USAGE_ERROR } from '../command.ts'
import { resultOf } from '../daemon-client.ts'
import { jsonText } from '../json-text.ts'
import { json } from '../options.ts'

export const webToken = defineCommand({
  name: 'web token',
  group: 'web',
  operands: 'ACTION [NAME]',
  offers: ['add', 'list', 'remove'],
  summary: 'add, list or remove tokens for the web console and for /metrics',
  more: `
    web token add NAME --role ROLE makes a token and prints it, this once: only its hash is kept.
    With the role read it may look at everything, with change it may also order and set; with
    metrics it may read /metrics and nothing else. Type it at the login of the console, or send it
    with each request: Authorization: Bearer TOKEN.

    web token list shows names and roles. web token remove NAME makes a token invalid at once, and
    ends the logins that were made with it.
  `,
  json: `
    list: {tokens}; add and list: a token has name, role and at (when it was made, ISO 8601), after
    add also secret. remove: {removed}.
  `,
  options: {
    role: {
      type: 'string',
      argument: 'ROLE',
      mayFollow: true,
      offers: ['read', 'change', 'metrics'],
      doc: 'What a new token may do: read, change or metrics.',
    },
    json,
  },
  async run({ operands: [action = '', name], role, json: isJson }, { daemon, out, err }) {
    const wrong = (text: string): number => {
      err(`mtpolicyctl web token: ${text}\nSee mtpolicyctl web token --help.\n`)
      return USAGE_ERROR
    }
    if (action === 'list') {
      if (name !== undefined) return wrong(`unexpected argument "${name}"`)
      const tokens = resultOf(await daemon.webTokens())
      out(isJson ? jsonText({ tokens: tokens.map(shown) }) : listText(tokens))
      return 0
    }
    if (action !== 'add' && action !== 'remove') {
      return wrong(`expected add, list or remove, found "${action}"`)
    }
    if (name === undefined) return wrong('expected the name of a token')
    if (action === 'remove') {
      resultOf(await daemon.webTokenRemove({ name }))
      out(isJson ? jsonText({ removed: name }) : `The token ${name} is no longer valid.\n`)
      return 0
    }
    if (role === undefined) return wrong('expected --role read, --role change or --role metrics')
    const token = resultOf(await daemon.webTokenAdd({ name, role }))
    out(isJson ? jsonText({ ...shown(token), secret: token.secret }) : newText(token))
    return 0
  },
})

function shown({ name, role, at }: WebToken) {
  return { name, role, at: new Date(at).toISOString() }
}

function listText(tokens: readonly WebToken[]): string {
  if (tokens.length === 0) return 'There is no token.\n'
  const width = Math.max(...tokens.map(({ name }) => name.length))
  const rows = tokens.map(({ name, role, at }) => {
    const made = new Date(at).toISOString().slice(0, 10)
    return `${name.padEnd(width)}  ${role.padEnd('metrics'.length)}  made on ${made}\n`
  })
  return rows.join('')
}

function newText({ name, role, secret }: NewWebToken): string {
  return `The token ${name} (${role}); it is shown only now:\n\n  ${secret}\n`
}
