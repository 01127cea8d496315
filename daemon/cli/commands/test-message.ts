/** test-message: a real mail through Postfix, and what became of it. */

import type { Login } from '../../diagnosis/submission.ts'
import { testMessage as send } from '../../diagnosis/test-message.ts'
import { canonicalAddress } from '../../net/address.ts'
import { oneLine } from '../../policy/verdict.ts'
import { inspectAll } from '../../postfix/inspect.ts'
import { addressOf, submissionService } from '../../postfix/smtpd/submission-service.ts'
import { xclientCommands } from '../../postfix/smtpd/xclient.ts'
import { firstLine } from '../ask-password.ts'
import { defineCommand, type ExitStatus, USAGE_ERROR } from '../command.ts'
import type { Host } from '../host.ts'
import { configDir, json as jsonOption } from '../options.ts'
import { postfixFor } from '../postfix-call.ts'
import { testMessageJson, testMessageText } from '../test-message-text.ts'

export const testMessage = defineCommand({
  name: 'test-message',
  group: 'try',
  summary: 'send a real mail as a user (--user NAME), and show what was decided',
  more: `
    Logs in to Postfix's own submission service on this host, sends a short mail to the account's own
    address, and shows whether it was accepted, the request that arrived at the daemon, the
    daemon's answer, and what Postfix logged about it. The mail is a real one: it is counted
    and delivered.

    The password is asked for on the terminal. If standard input is not a terminal, it is the
    first line of that. TLS is used if the service offers it; its certificate is not verified,
    since it cannot be that of localhost.

    With --xclient no password is needed, and any account and client can be tried, if Postfix
    trusts this host to name them (smtpd_authorized_xclient_hosts). If it does not, the command
    says how to change that, and how to take it back.

    The exit status is 0 if the mail was accepted and the daemon was queried about it, else 1.
  `,
  json: `
    {outcome, problem, refusedBy, service, address, encrypted, user, client, sender, recipient,
    queueId, requests, dialogue, log}: outcome is accepted, refused, unasked (Postfix accepted it
    without querying the daemon) or failed. A request has attributes, answer, by, code, why, observed
    and ms. log has source, lines and problem.
  `,
  options: {
    user: {
      type: 'string',
      argument: 'NAME',
      offers: 'accounts',
      doc: 'The account to send as. Required.',
    },
    to: { type: 'string', argument: 'ADDRESS', doc: 'Recipient. Default: the sender.' },
    from: {
      type: 'string',
      argument: 'ADDRESS',
      doc: "Sender. Default: the account's own address.",
    },
    port: {
      type: 'string',
      argument: 'PORT',
      doc: 'The service. Default: 587, 465, or the first one where users log in.',
    },
    'password-file': {
      type: 'string',
      argument: 'FILE',
      offers: 'files',
      doc: 'The password is the first line of FILE.',
    },
    xclient: { type: 'boolean', doc: 'Send without a password, by XCLIENT.' },
    client: {
      type: 'string',
      argument: 'ADDRESS',
      doc: 'With --xclient: the IP address that the mail seems to come from.',
    },
    'config-dir': configDir,
    json: jsonOption,
  },
  async run(values, host) {
    const { user, to, from, port, xclient, client, json } = values
    if (user === undefined || user === '') {
      return wrong(host, 'expected --user NAME: only mail of users who log in is judged')
    }
    if (client !== undefined && !xclient) return wrong(host, 'option --client needs --xclient')
    const address = client === undefined ? undefined : canonicalAddress(client)
    if (client !== undefined && address === undefined) {
      return wrong(host, `option --client: expected an IP address, found "${oneLine(client)}"`)
    }
    if (port !== undefined && !/^[1-9]\d{0,4}$/.test(port)) {
      return wrong(host, `option --port: expected a number, found "${oneLine(port)}"`)
    }
    const status = await host.daemon.status()
    if (typeof status === 'string') throw new Error(`the daemon is ${status}`)
    const { inspections } = await inspectAll(await postfixFor(host, values['config-dir'], status))
    const [absent] = inspections.flatMap(one => one.absent ?? [])
    if (absent !== undefined && inspections.every(one => one.absent !== undefined)) {
      throw new Error(absent)
    }
    const { instance, service, door } = submissionService(
      inspections.flatMap(({ protections }) => protections),
      port === undefined ? undefined : Number(port),
    )
    const sender = from ?? addressOf(user, service)
    const login: Login = xclient
      ? { by: 'xclient', user, client: address }
      : { by: 'password', user, password: await passwordOf(user, values['password-file'], host) }
    const result = await send({
      door,
      login,
      sender,
      recipient: to ?? sender,
      requests: host.daemon.requests,
      logSource: status.mailLog?.source ?? '',
      logPlaces: host.paths.mailLogs,
    })
    const commands = xclientCommands(instance, service, result.localAddress)
    host.out(json ? testMessageJson(result, login) : testMessageText(result, login, commands))
    return result.outcome === 'accepted' ? 0 : 1
  },
})

async function passwordOf(user: string, file: string | undefined, host: Host): Promise<string> {
  if (file === undefined) return host.askPassword(`Password of ${oneLine(user)}: `)
  return firstLine(host.read(file))
}

function wrong({ err }: Host, message: string): ExitStatus {
  err(`mtpolicyctl test-message: ${message}\nSee mtpolicyctl test-message --help.\n`)
  return USAGE_ERROR
}
