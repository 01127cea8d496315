/** The last hours at a glance: what came in, who sent it and from where, and what needs the administrator. */

import { useContext, useState } from 'preact/hooks'
import type { Today as Answer, Series } from '../../api.ts'
import { Card, Empty, Failed, Loading, Notice, PageHead } from '../parts/basics.tsx'
import { Segments } from '../parts/field.tsx'
import { Plot, PlotTable } from '../parts/plot.tsx'
import { get } from '../state/call.ts'
import { useConsole } from '../state/console.ts'
import { LiveContext } from '../state/live.ts'
import { useLoaded } from '../state/load.ts'
import { useTitle } from '../state/title.ts'
import { Asked, FindingList, useFindings } from './today/findings.tsx'
import { LiveList } from './today/live-list.tsx'
import { NearLimits } from './today/near-limits.tsx'
import { Countries, TopSenders } from './today/top.tsx'

const HOUR = 3_600_000
const REFRESH_MILLISECONDS = 30_000
const RANGES = { day: 24 * HOUR, week: 7 * 24 * HOUR, month: 30 * 24 * HOUR } as const
type Range = keyof typeof RANGES

export function Today() {
  const { t } = useConsole()
  useTitle(t.nav.today)
  const [range, setRange] = useState<Range>('day')
  const live = useContext(LiveContext)
  const loaded = useLoaded(
    signal => {
      const until = Date.now()
      return get<Answer>('today', { since: until - RANGES[range], until }, signal)
    },
    [range],
    REFRESH_MILLISECONDS,
  )
  const findings = useFindings()
  const { value, error } = loaded
  const status = live.status ?? value?.status
  return (
    <>
      <PageHead title={t.nav.today} note={t.today.note}>
        <Segments
          label={t.today.range}
          value={range}
          set={setRange}
          choices={[
            ['day', t.today.ranges.day],
            ['week', t.today.ranges.week],
            ['month', t.today.ranges.month],
          ]}
        />
      </PageHead>
      <div class="stack">
        {error && <Failed message={error.message} again={loaded.again} />}
        {live.state === 'stopped' && <Notice tone="bad">{t.today.stopped}</Notice>}
        {status?.mode === 'observe' && <Notice tone="warn">{t.today.observes}</Notice>}
        <FindingList findings={findings} />
        <Tiles series={value?.series} senders={value?.top.length} measures={status?.measures} />
        <Card title={t.today.mail} note={t.today.mailNote}>
          {value ? <MailPlots answer={value} /> : !error && <div class="plots-to-come" />}
        </Card>
        {status && <NearLimits entries={status.nearLimits} />}
        <div class="columns wide-first">
          <TopSenders senders={value?.top} />
          <Countries countries={value?.countries} />
        </div>
        <div class="columns wide-first">
          <LiveList live={live} />
          <Asked findings={findings} status={status} />
        </div>
      </div>
    </>
  )
}

const sumOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0)

function Tiles(props: {
  series: Series | undefined
  senders: number | undefined
  measures: number | undefined
}) {
  const { t, f } = useConsole()
  const { series } = props
  const messages = series && sumOf(series.messages)
  const recipients = series && sumOf(series.recipients)
  const refused = series && sumOf(series.refused)
  const shown = (value: number | undefined) => (value === undefined ? '–' : f.number(value))
  return (
    <dl class="tiles">
      <div class="card tile">
        <dt>
          <i class="dot accepted" />
          {t.today.accepted}
        </dt>
        <dd>{shown(messages)}</dd>
        <dd class="note">{t.today.messages}</dd>
      </div>
      <div class="card tile">
        <dt>
          <i class="dot recipients" />
          {t.today.recipients}
        </dt>
        <dd>{shown(recipients)}</dd>
        <dd class="note">
          {recipients !== undefined && messages
            ? t.today.perMessage(f.number(Math.round((recipients / messages) * 10) / 10))
            : t.today.perMessage('–')}
        </dd>
      </div>
      <div class="card tile">
        <dt>
          <i class="dot refused" />
          {t.today.refused}
        </dt>
        <dd>{shown(refused)}</dd>
        <dd class="note">
          {t.today.shareRefused(
            messages === undefined || refused === undefined
              ? '–'
              : f.percent(refused, messages + refused),
          )}
        </dd>
      </div>
      <div class="card tile">
        <dt>{t.today.measures}</dt>
        <dd>{shown(props.measures)}</dd>
        <dd class="note">{t.today.measuresNote}</dd>
      </div>
    </dl>
  )
}

function MailPlots({ answer: { series, history } }: { answer: Answer }) {
  const { t } = useConsole()
  if (history.state === 'off') {
    return (
      <Empty icon="clock" title={t.today.noHistory}>
        {t.today.noHistoryHelp}
      </Empty>
    )
  }
  if (history.state === 'failed') {
    return (
      <div class="card-body">
        <Failed message={history.problem ?? ''} />
      </div>
    )
  }
  if (series.times.length === 0) return <Loading />
  const verdicts = [
    { of: 'accepted', label: t.today.accepted, values: series.messages },
    { of: 'refused', label: t.today.refused, values: series.refused },
  ] as const
  const recipients = [
    { of: 'recipients', label: t.today.recipients, values: series.recipients },
  ] as const
  return (
    <>
      <Plot label={t.today.plotVerdicts} series={series} curves={verdicts} height={230} />
      <Plot label={t.today.plotRecipients} series={series} curves={recipients} height={150} />
      <PlotTable caption={t.today.mail} series={series} curves={[...verdicts, ...recipients]} />
    </>
  )
}
