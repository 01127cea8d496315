/** What became of a test message, for a terminal and for programs. */

import type { LoggedLines } from '../diagnosis/logged-lines.ts'
import { type Login, NO_XCLIENT } from '../diagnosis/submission.ts'
import type { Asked, TestMessage } from '../diagnosis/test-message.ts'
import { oneLine } from '../policy/verdict.ts'
import { doorText } from '../postfix/smtpd/door.ts'
import type { XclientCommands } from '../postfix/smtpd/xclient.ts'
import { wrap } from '../text/wrap.ts'

const COLUMNS = 79

/** @param xclient how XCLIENT could be allowed */
export function testMessageText(
  result: TestMessage,
  login: Login,
  xclient: XclientCommands,
): string {
  const { requests, log, outcome } = result
  const decisive = requests.at(-1)
  const isMissing = decisive === undefined && outcome !== 'refused'
  return [
    ...head(result, login),
    '',
    ...outcomeLines(result, xclient),
    ...(isMissing ? [] : ['', ...requestLines(requests)]),
    ...(decisive === undefined ? [] : ['', ...answerLines(decisive)]),
    ...(log === undefined ? [] : ['', ...logLines(log)]),
    '',
  ].join('\n')
}

function head(result: TestMessage, login: Login): string[] {
  const { door, sender, recipient, isEncrypted, dialogue } = result
  const without = dialogue.length > 0 ? ' (no TLS)' : ''
  const tls = isEncrypted ? ' (TLS, certificate not verified)' : without
  const from = login.by === 'xclient' && login.client !== undefined ? ` from ${login.client}` : ''
  const how = login.by === 'xclient' ? ' by XCLIENT' : ''
  return [
    ...lines(`Mail from ${sender} to ${recipient}`),
    ...lines(`as user ${login.user}${from}${how}`),
    ...lines(`through ${door.service} at ${doorText(door)}${tls}`),
  ]
}

function outcomeLines(result: TestMessage, xclient: XclientCommands): string[] {
  const last = result.dialogue.at(-1)
  const reply = last === undefined ? [] : lines(`${last.code} ${last.text}`, 2)
  switch (result.outcome) {
    case 'accepted':
      return ['ACCEPTED. The daemon was queried, and Postfix took the mail:', ...reply]
    case 'refused':
      return [...lines(refusal(result)), ...reply]
    case 'unasked':
      return [...lines(UNASKED), ...reply]
    case 'failed':
      return [
        ...lines(`NOT SENT: ${result.problem}.`),
        ...(result.problem === NO_XCLIENT ? advice(xclient) : reply),
      ]
  }
}

const UNASKED =
  'ACCEPTED WITHOUT QUERYING THE DAEMON: Postfix took the mail, and no request about it ' +
  'arrived here. Mail that users send this way is neither limited nor refused. ' +
  'What is missing, and the line that adds it: mtpolicyctl doctor'

function refusal({ refusedBy, dialogue }: TestMessage): string {
  const stage = dialogue.at(-1)?.command.split(' ', 1)[0] ?? ''
  const at = stage === 'the' ? 'at the end of the message' : `at ${stage}`
  return refusedBy === 'daemon'
    ? `REFUSED by the daemon, ${at}:`
    : `REFUSED by Postfix, ${at}; the daemon had no part in it:`
}

/** Each command works when pasted. */
function advice({ allow, takeBack }: XclientCommands): string[] {
  return [
    ...lines('To allow it for a while:'),
    ...allow.map(command => `  ${command}`),
    ...lines(
      'Take it back afterwards: until then, every program on this host can send as any account.',
    ),
    ...takeBack.map(command => `  ${command}`),
  ]
}

function requestLines(requests: readonly Asked[]): string[] {
  const decisive = requests.at(-1)
  if (decisive === undefined) return ['No request arrived at the daemon.']
  const earlier = requests.slice(0, -1).map(one => one.attributes.protocol_state ?? '')
  const more = earlier.length === 0 ? '' : `, after ${earlier.join(', ')}`
  const known = Object.entries(decisive.attributes).filter(([, value]) => value !== '')
  return titled(
    `Request that arrived at the daemon${more}:`,
    known.map(([name, value]) => `${name}=${value}`),
  )
}

function answerLines({ answer, by, code, why, observed, ms }: Asked): string[] {
  const decided = by === '' ? 'no plugin objected' : `decided by ${by}`
  return titled('Answer of the daemon:', [
    answer === '' ? 'none: it closed the connection' : answer,
    `(${decided}${why === '' ? '' : `, ${why}`}, ${ms} ms)`,
    ...(observed === '' ? [] : [`observe mode: otherwise ${observed}`]),
    ...(code === '' ? [] : [`all about this decision: mtpolicyctl why ${code}`]),
  ])
}

function logLines({ source, lines: logged, problem }: LoggedLines): string[] {
  const missing = source === '' || logged.length > 0 ? problem : `${source}: ${problem}`
  return titled('Logged by Postfix:', problem === '' ? logged : [...logged, missing])
}

function titled(title: string, texts: readonly string[]): string[] {
  return [...lines(title), ...texts.flatMap(text => lines(text, 2))]
}

/** What comes from elsewhere must not control the terminal. */
function lines(text: string, indent = 0): string[] {
  return wrap(oneLine(text), COLUMNS - indent - 2).map((line, at) =>
    ' '.repeat(at === 0 ? indent : indent + 2).concat(line),
  )
}

export function testMessageJson(result: TestMessage, login: Login): string {
  const { outcome, problem, refusedBy, door, isEncrypted, sender, recipient, queueId } = result
  const members = {
    outcome,
    problem,
    refusedBy,
    service: door.service,
    address: doorText(door),
    encrypted: isEncrypted,
    user: login.user,
    client: result.client,
    sender,
    recipient,
    queueId,
    requests: result.requests,
    dialogue: result.dialogue,
    log: result.log,
  }
  return `${JSON.stringify(members, undefined, 2)}\n`
}
