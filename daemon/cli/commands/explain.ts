/** explain: what a request would be answered, and why. */

import type { Explanation } from '../../control/protocol.ts'
import { defineCommand, type ExitStatus, USAGE_ERROR } from '../command.ts'
import { NOT_RUNNING } from '../daemon-client.ts'
import { explanationText } from '../explanation-text.ts'
import type { Host } from '../host.ts'
import { json as jsonOption } from '../options.ts'
import {
  readAttributes,
  requestOf,
  STAGES,
  type WrittenAttribute,
  WrongRequest,
} from '../request-attributes.ts'

/** Characters, as JSON: with its command it fits into a request on the control socket. */
const MOST_CHARACTERS = 60_000

/** Each option is an attribute of the request. */
const ATTRIBUTES = {
  user: 'sasl_username',
  client: 'client_address',
  recipients: 'recipient_count',
  sender: 'sender',
  recipient: 'recipient',
  stage: 'protocol_state',
  size: 'size',
} as const

export const explain = defineCommand({
  name: 'explain',
  group: 'try',
  operands: '[FILE]',
  offers: 'files',
  summary: 'show how a request would be answered, and why',
  more: `
    Puts a request through the configuration of the running daemon as a rehearsal: nothing is
    counted, changed or sent. Shows what Postfix would be told, and each plugin's step. Plugins
    that would write or send something are skipped.

    FILE has the attributes of a request as Postfix sends them, name=value on each line; - is
    standard input. Options replace attributes of FILE, or are the whole request.

    The exit status is 0 if there is an answer, also if it is a refusal; 1 if no daemon runs, if
    FILE is not a request, or if the connection would be closed without an answer.
  `,
  json: `
    {action, by, steps, counted}: a step has plugin, module, saw (what it has found out), outcome
    ("nothing", or "action: ", "failed: " or "skipped: " and a text) and ms; counted is false.
  `,
  options: {
    user: {
      type: 'string',
      argument: 'NAME',
      offers: 'accounts',
      doc: 'The account that has logged in.',
    },
    client: { type: 'string', argument: 'ADDRESS', doc: 'IP address of the client.' },
    recipients: { type: 'string', argument: 'N', doc: 'How many recipients the message has.' },
    sender: { type: 'string', argument: 'ADDRESS', doc: 'Sender of the envelope.' },
    recipient: { type: 'string', argument: 'ADDRESS', doc: 'Recipient of the envelope.' },
    stage: {
      type: 'string',
      argument: 'STAGE',
      offers: STAGES,
      doc: 'When Postfix sends the request: END-OF-MESSAGE (the default), DATA or RCPT.',
    },
    size: { type: 'string', argument: 'BYTES', doc: 'Size of the message.' },
    port: {
      type: 'string',
      argument: 'PORT',
      doc: "Where Postfix sends it: a port or the path of a socket. Default: the daemon's first.",
    },
    json: jsonOption,
  },
  async run({ json, port, operands: [file], ...options }, host) {
    const ofOptions = Object.entries(ATTRIBUTES).flatMap(([option, name]): WrittenAttribute[] => {
      const value = options[option as keyof typeof ATTRIBUTES]
      return value === undefined ? [] : [{ name, value, what: `option --${option}` }]
    })
    if (file === undefined && ofOptions.length === 0) {
      return wrong(host, 'expected FILE, - for standard input, or options such as --user')
    }
    const attributes = read(host, file, ofOptions)
    if (typeof attributes === 'number') return attributes
    const reply = await host.daemon.explain({ attributes, ...(port === undefined ? {} : { port }) })
    if (!reply) throw new Error(`the daemon is ${NOT_RUNNING}`)
    if (!reply.ok) throw new Error(reply.message)
    host.out(json ? jsonText(reply.result) : explanationText(reply.result))
    return reply.result.action === 'close' ? 1 : 0
  },
})

/** The request, or the exit status if it is none. */
function read(
  host: Host,
  file: string | undefined,
  ofOptions: readonly WrittenAttribute[],
): Readonly<Record<string, string>> | ExitStatus {
  const name = file === '-' ? 'standard input' : file
  try {
    const ofFile = file === undefined ? [] : readAttributes(host.read(file))
    const attributes = requestOf([...ofFile, ...ofOptions])
    if (JSON.stringify(attributes).length <= MOST_CHARACTERS) return attributes
    throw new WrongRequest(`longer than ${MOST_CHARACTERS} characters`)
  } catch (error) {
    if (!(error instanceof WrongRequest)) throw error
    if (error.message.startsWith('option')) return wrong(host, error.message)
    host.err(`${name === undefined ? 'the request' : name}: ${error.message}\n`)
    return 1
  }
}

function wrong({ err }: Host, message: string): ExitStatus {
  err(`mtpolicyctl explain: ${message}\nSee mtpolicyctl explain --help.\n`)
  return USAGE_ERROR
}

function jsonText({ action, by, steps }: Explanation): string {
  const members = steps.map(({ plugin, module, saw, outcome, ms }) => {
    return { plugin, module, saw, outcome, ms }
  })
  return `${JSON.stringify({ action, by, steps: members, counted: false }, undefined, 2)}\n`
}
