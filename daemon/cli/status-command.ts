/**
 * `mtpolicyctl status [--json]`: is the daemon alive, can it count, how old is the GeoIP data,
 * does Postfix ask it? Exit 0 if all of that is well, 1 if anything needs an administrator.
 */

import { askDaemon } from '../control/client.ts'
import type { DaemonStatus } from '../control/protocol.ts'
import type { Paths } from '../paths.ts'
import { describeError } from '../policy/errors.ts'
import { oneLine } from '../policy/verdict.ts'
import type { Run } from '../postfix/external-program.ts'
import { inspect, type PostfixStatus } from '../postfix/inspect.ts'
import type { Endpoint } from '../postfix/restriction-list.ts'
import { wrap } from './wrap.ts'

export interface StatusIo {
  readonly paths: Paths
  readonly out: (text: string) => void
  readonly err: (text: string) => void
  postfix(): {
    readonly run: Run
    readonly endpoint: Endpoint
    readonly stateFile: string
    readonly configDirs?: readonly string[]
  }
  /** Is Postfix the administrator's own affair (mtpolicyd/postfix/register)? */
  leavesPostfixAlone(): boolean
}

/** The GeoIP data counts as too old from here on. */
const OLD_DAYS = 365

const COLUMNS = 79

const ORIGINS: Readonly<Record<DaemonStatus['origin'], string>> = {
  variables: 'from the host variables',
  'hand-written':
    'hand-written: the host variables rest; mtpolicyctl commit --force-template switches',
  file: 'from a file of its own',
}

type Dns = DaemonStatus['dns']

interface Line {
  readonly what: string
  readonly isWell: boolean
  readonly text: string
}

export async function statusCommand(argv: readonly string[], io: StatusIo): Promise<0 | 1 | 64> {
  if (argv.some(argument => argument !== '--json')) {
    io.err('usage: mtpolicyctl status [--json]\n')
    return 64
  }
  const daemon = await daemonStatus(io.paths)
  const postfix = await postfixStatus(io)
  const lines = [...daemonLines(daemon), ...postfixLines(postfix, io.leavesPostfixAlone())]
  const isWell = lines.every(line => line.isWell)
  if (argv.includes('--json')) {
    const running = typeof daemon === 'object' ? daemon : undefined
    const json = JSON.stringify({ ok: isWell, daemon: running, postfix }, undefined, 2)
    io.out(`${json.replace(/[\x7f-\x9f]/g, escaped)}\n`)
  } else {
    const width = Math.max(...lines.map(({ what }) => what.length))
    for (const { what, isWell: well, text } of lines) {
      const head = `${well ? 'ok  ' : 'BAD '} ${what.padEnd(width)}  `
      const more = `\n${' '.repeat(head.length)}`
      // What failed quotes others, who must not speak to the terminal.
      io.out(`${head}${wrap(oneLine(text), COLUMNS - head.length).join(more)}\n`)
    }
  }
  return isWell ? 0 : 1
}

/** JSON leaves some of the characters as they are that a terminal obeys. */
function escaped(character: string): string {
  return `\\u00${character.charCodeAt(0).toString(16)}`
}

/** The status, or why there is none. */
async function daemonStatus(paths: Paths): Promise<DaemonStatus | string> {
  try {
    const reply = await askDaemon<DaemonStatus>(paths.control, 'status')
    if (!reply) return 'not running'
    return reply.ok ? reply.result : reply.message
  } catch (error) {
    return describeError(error)
  }
}

async function postfixStatus(io: StatusIo): Promise<readonly PostfixStatus[]> {
  return inspect(io.postfix())
}

function daemonLines(daemon: DaemonStatus | string): Line[] {
  if (typeof daemon === 'string') return [{ what: 'daemon', isWell: false, text: daemon }]
  const { store, geoip } = daemon
  const days = geoip.ageDays === undefined ? undefined : Math.floor(geoip.ageDays)
  const failing = daemon.plugins.filter(plugin => plugin.failures > 0)
  const lines: Line[] = [
    {
      what: 'daemon',
      isWell: true,
      text: `running since ${daemon.since.slice(0, 19).replace('T', ' ')} UTC, process ${daemon.pid}`,
    },
    { what: 'listening', isWell: daemon.endpoints.length > 0, text: daemon.endpoints.join(' ') },
    {
      what: 'requests',
      isWell: daemon.failures === 0,
      text: `${daemon.requests}, ${daemon.refused} refused, ${daemon.failures} failed`,
    },
    {
      what: 'counts',
      isWell: store.state === 'ok' || store.state === 'not used',
      text: `${store.state} (${store.path})`,
    },
    {
      what: 'GeoIP',
      isWell: geoip.state === 'current' && (days === undefined || days < OLD_DAYS),
      text:
        geoip.problem ??
        `data of ${geoip.builtAt?.slice(0, 10) ?? 'an unknown day'}, ${days ?? '?'} days old`,
    },
    {
      what: 'policy',
      isWell: true,
      text: `${daemon.mode}, ${ORIGINS[daemon.origin]} (${daemon.configuration})`,
    },
  ]
  lines.push(...dnsLines(daemon.dns))
  for (const { plugin, failures, lastFailure } of failing) {
    lines.push({ what: 'plugin', isWell: false, text: `${plugin}: ${failures} × ${lastFailure}` })
  }
  for (const service of daemon.recipientOnlyServices) {
    const text = `${service} asks only at RCPT: aborted messages are counted too`
    lines.push({ what: 'service', isWell: true, text })
  }
  for (const warning of daemon.warnings) lines.push({ what: 'check', isWell: true, text: warning })
  return lines
}

/** Nothing, as long as nobody asks the DNS. */
function dnsLines({ servers, cached, questions, failures, silent, refusing }: Dns): Line[] {
  if (questions === 0) return []
  const counts = `${questions} asked, ${failures} failed, ${cached} answers kept`
  return [
    { what: 'DNS', isWell: questions > failures, text: `${counts} (${servers.join(' ')})` },
    ...silent.map(({ list, until }) => {
      const text = `${list} does not answer, passed over until ${until.slice(11, 19)} UTC`
      return { what: 'DNS list', isWell: false, text }
    }),
    ...refusing.map(({ list, answer }) => {
      const text = `${list} answers ${answer}, which lists nobody: it may refuse this server`
      return { what: 'DNS list', isWell: false, text }
    }),
  ]
}

function postfixLines(instances: readonly PostfixStatus[], isLeftAlone: boolean): Line[] {
  return instances.map(instance => {
    if (isLeftAlone && instance.item === undefined) {
      const text = 'left alone, asks as its configuration says (mtpolicyd/postfix/register)'
      return { what: 'Postfix', isWell: true, text }
    }
    if (instance.absent !== undefined) {
      return { what: 'Postfix', isWell: false, text: instance.absent }
    }
    return instance.item === undefined
      ? {
          what: 'Postfix',
          isWell: false,
          text: `does not ask the daemon (${instance.configDir}); see mtpolicyctl postfix register`,
        }
      : { what: 'Postfix', isWell: true, text: `asks at the end of data (${instance.configDir})` }
  })
}
