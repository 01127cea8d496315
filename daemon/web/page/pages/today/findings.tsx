/** What `mtpolicyctl doctor` finds, each with its remedy, and whether Postfix asks wherever users log in. */

import type { Findings, Status } from '../../../api.ts'
import { Badge, Card, Failed, Loading, Notice, Time, type Tone } from '../../parts/basics.tsx'
import { CommandLine } from '../../parts/command.tsx'
import { Icon, type IconName } from '../../parts/icon.tsx'
import { get } from '../../state/call.ts'
import { useConsole } from '../../state/console.ts'
import { type Loaded, useLoaded } from '../../state/load.ts'

const REFRESH_MILLISECONDS = 60_000
const ICONS: Readonly<Record<'error' | 'warning' | 'note', IconName>> = {
  error: 'bad',
  warning: 'warn',
  note: 'note',
}

const TONES = { error: 'bad', warning: 'warn', note: '' } as const

export function useFindings(): Loaded<Findings> {
  const { language } = useConsole()
  return useLoaded(
    signal => get<Findings>('findings', { lang: language }, signal),
    [language],
    REFRESH_MILLISECONDS,
  )
}

export function FindingList({ findings }: { findings: Loaded<Findings> }) {
  const { t } = useConsole()
  const { value, error } = findings
  if (error && !value) return <Failed message={error.message} again={findings.again} />
  if (!value) {
    return (
      <Notice tone="muted">
        <p role="status">{t.findings.looking}</p>
      </Notice>
    )
  }
  const urgent = value.findings.filter(({ severity }) => severity !== 'note')
  const notes = value.findings.filter(({ severity }) => severity === 'note')
  return (
    <>
      {urgent.length === 0 && (
        <Notice tone="good">
          <p>
            <strong>{t.findings.fine}</strong> {t.findings.fineNote}
          </p>
        </Notice>
      )}
      {urgent.length > 0 && (
        <Card title={t.findings.title(urgent.length)}>
          <Entries findings={urgent} />
        </Card>
      )}
      {(notes.length > 0 || value.problems.length > 0) && (
        <details class="card">
          <summary class="card-head">
            <Icon name="chevron" size={16} />
            <h2>{t.findings.notes(notes.length + value.problems.length)}</h2>
          </summary>
          <Entries findings={notes} />
          {value.problems.map(problem => (
            <p class="finding" key={problem}>
              <Icon name="note" />
              {problem}
            </p>
          ))}
        </details>
      )}
    </>
  )
}

function Entries({ findings }: { findings: Findings['findings'] }) {
  const { t } = useConsole()
  return (
    <ul>
      {findings.map(finding => (
        <li class={`finding ${TONES[finding.severity]}`} key={`${finding.id} ${finding.where}`}>
          <Icon name={ICONS[finding.severity]} />
          <div>
            <h3>
              <span class="unseen">{t.findings.severity[finding.severity]}: </span>
              {finding.what}
            </h3>
            {finding.why !== '' && <p class="muted">{finding.why}</p>}
            {finding.where !== '' && <p class="muted small mono">{finding.where}</p>}
            {finding.remedy !== '' && <CommandLine text={finding.remedy} />}
          </div>
        </li>
      ))}
    </ul>
  )
}

const STATE_TONES: Readonly<Record<string, Tone>> = {
  asked: 'good',
  'not asked': 'bad',
  perhaps: 'warn',
}

/** Where users log in, and whether smtpd asks the daemon there. */
export function Asked(props: { findings: Loaded<Findings>; status: Status | undefined }) {
  const { t, f } = useConsole()
  const { status } = props
  const services = props.findings.value?.services
  return (
    <Card title={t.asked.title} note={t.asked.note}>
      {!services && !props.findings.error && <Loading lines={4} />}
      {services?.length === 0 && <p class="card-body muted">{t.asked.none}</p>}
      {services && services.length > 0 && (
        <table>
          <caption class="unseen">{t.asked.title}</caption>
          <thead>
            <tr>
              <th scope="col">{t.asked.service}</th>
              <th scope="col">{t.asked.answer}</th>
            </tr>
          </thead>
          <tbody>
            {services.map(({ service, answer }) => (
              <tr key={service}>
                <th scope="row" class="mono name">
                  {service}
                </th>
                <td>
                  <Badge tone={STATE_TONES[answer] ?? 'muted'}>
                    {t.asked.states[answer] ?? answer}
                  </Badge>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {status && (
        <div class="card-body daemon">
          <dl class="facts small">
            <dt>{t.asked.version}</dt>
            <dd>{status.version}</dd>
            <dt>{t.asked.since}</dt>
            <dd>
              <Time at={status.since} />
            </dd>
            <dt>{t.asked.requests}</dt>
            <dd>{f.number(status.requests)}</dd>
            <dt>{t.asked.connections}</dt>
            <dd>{f.number(status.connections)}</dd>
            <dt>{t.asked.endpoints}</dt>
            <dd class="mono">{status.endpoints.join(', ')}</dd>
            {status.geoip.ageDays !== undefined && (
              <>
                <dt>{t.asked.geoip}</dt>
                <dd>{t.asked.days(status.geoip.ageDays)}</dd>
              </>
            )}
          </dl>
        </div>
      )}
    </Card>
  )
}
