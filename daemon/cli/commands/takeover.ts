/**
 * takeover: takes over, once, what Debian's mtpolicyd leaves behind. The package calls it at its
 * first installation; without such an installation it does nothing.
 *
 * Shows what was copied, what is in use now, and how to change that. Where the copy is used,
 * Postfix keeps querying as the administrator set it up: another item would count every mail twice.
 * Where it is not, the variables take the port that Postfix may be querying already.
 */

import type { Outcome, Reason } from '../../migration/outcome.ts'
import { isChangedConffile } from '../../migration/shipped-conffile.ts'
import { type Takeover, takeOver } from '../../migration/takeover.ts'
import { type Endpoint, formatEndpoint } from '../../net/endpoint.ts'
import { isLoopbackHost } from '../../net/loopback.ts'
import { formatProblem } from '../../policy/problem.ts'
import { isGenerated } from '../../registry/template-files.ts'
import { describeError } from '../../system/errors.ts'
import { defineCommand, type ExitStatus } from '../command.ts'
import type { Host } from '../host.ts'
import { json as jsonOption } from '../options.ts'
import { set } from './set.ts'

const OWN_PORT = 12345

export const takeover = defineCommand({
  name: 'takeover',
  group: 'package',
  summary: 'adopt what Debian’s mtpolicyd left behind, once',
  more: `
    Copies /etc/mtpolicyd/mtpolicyd.conf and the counters it names. The copy is used if this
    version can do everything in it; otherwise it is kept next to the configuration, as
    mtpolicyd.conf.from-mtpolicyd, and the reasons are shown. The originals are not changed and
    may be purged.
  `,
  json: `
    {outcome, why, from, kept, files, problems, endpoints, assignments}: outcome is none, before,
    used or left; why says for left what keeps the copy from being used.
  `,
  options: { json: jsonOption },
  async run({ json }, host) {
    let taken: Takeover
    try {
      taken = await takeOverHere(host)
    } catch (error) {
      host.err(
        `mtpolicyctl takeover: ${describeError(error)}\n` +
          'Nothing was changed; once this is fixed, run: mtpolicyctl takeover\n',
      )
      return 1
    }
    const assignments = assignmentsFor(taken)
    const status = assignments.length === 0 ? 0 : await setVariables(host, assignments)
    if (json) {
      const { kind, ...why } = taken.outcome
      host.out(
        `${JSON.stringify({ ...taken, outcome: kind, ...why, assignments }, undefined, 2)}\n`,
      )
    } else host.out(`${linesFor(taken).join('\n')}\n`)
    return status === 0 ? 0 : 1
  },
})

function takeOverHere({ paths, configuration, run }: Host): Promise<Takeover> {
  return takeOver({
    paths,
    isChanged: text => isChangedConffile(paths, text, run),
    check: configuration.checkText,
    isGenerated,
  })
}

function setVariables(host: Host, operands: readonly string[]): ExitStatus | Promise<ExitStatus> {
  return set.run({ operands }, host)
}

const isOwn = ({ kind }: Reason): boolean => kind === 'own-configuration'

/** The first loopback port becomes ours, so that what Postfix queries now is answered. */
function assignmentsFor({ outcome, endpoints }: Takeover): string[] {
  if (outcome.kind === 'none' || outcome.kind === 'before') return []
  if (outcome.kind === 'left' && outcome.why.some(isOwn)) return []
  const port = ownPort(endpoints)
  return [
    ...(port === undefined || port === OWN_PORT ? [] : [`mtpolicyd/port=${port}`]),
    ...(outcome.kind === 'used' ? ['mtpolicyd/postfix/register=false'] : []),
  ]
}

function ownPort(endpoints: readonly Endpoint[]): number | undefined {
  for (const endpoint of endpoints) {
    if (endpoint.kind === 'tcp' && isLoopbackHost(endpoint.host)) return endpoint.port
  }
  return undefined
}

function linesFor(taken: Takeover): string[] {
  const { outcome, from, kept, files } = taken
  if (outcome.kind === 'none') return [`${from}: there is nothing to take over`]
  if (outcome.kind === 'before') return [`${kept}: already taken over`]
  const copied = files.map(({ from: old, to, counters }) => {
    const what = counters === undefined ? '' : `, ${counters} counters`
    return `copied: ${old} to ${to}${what}`
  })
  return [
    ...copied,
    ...(outcome.kind === 'used' ? usedLines(taken) : leftLines(taken, outcome.why)),
  ]
}

function usedLines({ from }: Takeover): string[] {
  return [
    `used: a copy of ${from}. Host variables have no effect.`,
    'Postfix queries it as before; nothing is added to main.cf (mtpolicyd/postfix/register=false).',
    'To switch to the host variables:',
    '    mtpolicyctl commit --force-template',
    '    mtpolicyctl unset mtpolicyd/postfix/register mtpolicyd/port',
    '    mtpolicyctl postfix register',
  ]
}

function leftLines(taken: Takeover, why: Extract<Outcome, { kind: 'left' }>['why']): string[] {
  const { from, kept } = taken
  const problems = why.flatMap(reason => (reason.kind === 'problem' ? [reason.problem] : []))
  const others = why.filter(({ kind }) => kind !== 'problem')
  return [
    ...problems.map(formatProblem),
    ...others.map(reason => `not used: ${reasonText(reason, from)}.`),
    ...(problems.length === 0 ? [] : [`not used: this version cannot do everything in ${from}.`]),
    why.some(isOwn)
      ? 'The hand-written configuration stays in effect.'
      : 'The host variables are in effect.',
    ...unanswered(taken),
    `A copy is kept in ${kept}.`,
    ...(problems.length === 0 ? [] : [`To check it again: mtpolicyctl check ${kept}`]),
  ]
}

function reasonText(reason: Reason, from: string): string {
  switch (reason.kind) {
    case 'unchanged':
      return `${from} is as its package shipped it`
    case 'own-configuration':
      return `${reason.file} was written by hand`
    case 'socket':
      return `it listens on a unix socket (${formatEndpoint(reason.endpoint)}), which this unit does not offer`
    case 'problem':
      return reason.problem.message
  }
}

/** Postfix would wait for an answer there, and defer the mail. */
function unanswered({ endpoints }: Takeover): string[] {
  const port = ownPort(endpoints)
  return endpoints
    .filter(one => one.kind === 'unix' || !isLoopbackHost(one.host) || one.port !== port)
    .map(
      endpoint =>
        `NO LONGER ANSWERED: ${formatEndpoint(endpoint)}. Remove items that query it from Postfix's main.cf.`,
    )
}
