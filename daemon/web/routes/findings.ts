/** GET findings: what is wrong with the daemon, its data and Postfix's configuration, as `mtpolicyctl doctor` finds it. */

import { existsSync, readFileSync } from 'node:fs'
import { checkTextAsDaemon } from '../../assembly/configuration.ts'
import { diagnose } from '../../diagnosis/diagnosis.ts'
import { lookAtHost } from '../../diagnosis/look.ts'
import { postfixOf } from '../../diagnosis/postfix-of-host.ts'
import type { Finding } from '../../policy/finding.ts'
import type { Problem } from '../../policy/problem.ts'
import { describeError } from '../../system/errors.ts'
import type { AskedService, Findings } from '../api.ts'
import { KeptAnswers } from '../kept-answers.ts'
import { json } from '../reply.ts'
import type { Context, MakeRoutes, Services } from '../router.ts'

/** Programs of Postfix are run for it. */
const GOOD_MILLISECONDS = 30_000

/** In both languages. */
interface Found {
  readonly at: number
  readonly findings: readonly Finding[]
  readonly services: readonly AskedService[]
}

export const findingsRoutes: MakeRoutes = services => {
  const kept = new KeptAnswers<Found>(services.clock, GOOD_MILLISECONDS)
  return [
    {
      method: 'GET',
      path: '/api/findings',
      role: 'read',
      handle: async ({ query, language }) => {
        const found = await kept.get('', () => look(services))
        const given = query.get('lang')
        return json(inLanguage(found, given === 'de' || given === 'en' ? given : language))
      },
    },
  ]
}

async function look(host: Services): Promise<Found> {
  const { daemon, paths, clock } = host
  const status = await daemon.status().catch(describeError)
  const now = clock.now()
  const postfix = postfixOf(paths, status)
  const seen = await lookAtHost({ status, postfix, paths, now, problems: await onDisk(host) })
  const services = seen.inspections.flatMap(({ protections }) =>
    protections.map(({ service, answer }) => ({ service: service.name, answer })),
  )
  return { at: now, findings: diagnose(seen), services }
}

/** What is wrong with the configuration as it is on disk. */
async function onDisk({ paths }: Services): Promise<readonly Problem[]> {
  if (!existsSync(paths.config)) return []
  return checkTextAsDaemon(paths, paths.config, readFileSync(paths.config, 'utf8'))
}

function inLanguage({ at, findings, services }: Found, language: Context['language']): Findings {
  return {
    at,
    services,
    problems: [],
    findings: findings.map(({ id, subject, severity, where, service, what, why, remedy }) => ({
      id,
      subject,
      severity,
      where,
      service,
      what: what[language],
      why: why[language],
      remedy: remedy[language],
    })),
  }
}
