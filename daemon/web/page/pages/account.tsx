/** All that is known of one account, and what can be ordered for it. */

import { useState } from 'preact/hooks'
import type { AccountSeries, Account as Answer, Audit } from '../../api.ts'
import { Card, Empty, Failed, Loading, Name, Notice, PageHead } from '../parts/basics.tsx'
import { Plot, PlotTable } from '../parts/plot.tsx'
import { get } from '../state/call.ts'
import { useConsole } from '../state/console.ts'
import { useLoaded } from '../state/load.ts'
import { addressOf } from '../state/route.ts'
import { useTitle } from '../state/title.ts'
import { type Act, ActDialog } from './account/act-dialog.tsx'
import { ActButtons, InForce } from './account/in-force.tsx'
import { Limits } from './account/limits.tsx'
import { Messages } from './account/messages.tsx'
import { Refused } from './account/refused.tsx'
import { SeenTable } from './account/seen.tsx'
import { Trail } from './account/trail.tsx'

const REFRESH_MILLISECONDS = 20_000

export function Account({ name }: { name: string }) {
  const { t, tell, mayChange } = useConsole()
  const [act, setAct] = useState<Act | undefined>()
  const path = `account/${encodeURIComponent(name)}`
  const loaded = useLoaded(signal => get<Answer>(path, {}, signal), [path], REFRESH_MILLISECONDS)
  const series = useLoaded(signal => get<AccountSeries>(`${path}/series`, {}, signal), [path])
  const audit = useLoaded(signal => get<Audit>(`${path}/audit`, {}, signal), [path])
  const { value, error } = loaded
  const account = value?.account ?? name
  useTitle(account)

  return (
    <>
      <p class="crumb">
        <a href={addressOf('account')}>{t.nav.account}</a>
      </p>
      <PageHead title={<Name>{account}</Name>} note={value && <InForce account={value} />}>
        {mayChange && value && <ActButtons measures={value.measures} choose={setAct} />}
      </PageHead>
      <div class="stack">
        {error && <Failed message={error.message} again={loaded.again} />}
        {value?.observes && <Notice tone="warn">{t.today.observes}</Notice>}
        {value?.history.state === 'failed' && <Failed message={value.history.problem ?? ''} />}
        {value?.history.state === 'off' && <Notice tone="muted">{t.today.noHistoryHelp}</Notice>}
        <div class="columns wide-first">
          <Card title={t.accountPage.sent} note={t.accountPage.sentNote}>
            {series.value ? (
              <SentPlot answer={series.value} />
            ) : series.error ? (
              <div class="card-body">
                <Failed message={series.error.message} again={series.again} />
              </div>
            ) : (
              <Loading lines={9} />
            )}
          </Card>
          <Card title={t.accountPage.limits}>
            {value ? <Limits limits={value.limits} /> : <Loading lines={5} />}
          </Card>
        </div>
        {value && (
          <>
            <Refused refusals={value.refusals} account={account} />
            <div class="columns">
              <SeenTable
                title={t.accountPage.countries}
                column={t.country}
                seen={value.countries}
                areCountries
              />
              <SeenTable
                title={t.accountPage.networks}
                column={t.accountPage.network}
                seen={value.networks}
              />
            </div>
            <div class="columns wide-first">
              <Messages messages={value.messages} />
              <Trail audit={audit} />
            </div>
          </>
        )}
      </div>
      {act && (
        <ActDialog
          act={act}
          account={account}
          limits={value?.limits ?? []}
          close={() => setAct(undefined)}
          done={message => {
            setAct(undefined)
            tell(message)
            loaded.again()
            audit.again()
          }}
        />
      )}
    </>
  )
}

function SentPlot({ answer: { series } }: { answer: AccountSeries }) {
  const { t } = useConsole()
  if (![...series.recipients, ...series.refused].some(value => value > 0)) {
    return (
      <Empty icon="today" title={t.accountPage.nothingSent}>
        {t.accountPage.nothingSentHelp}
      </Empty>
    )
  }
  const curves = [
    { of: 'recipients', label: t.today.recipients, values: series.recipients },
    { of: 'refused', label: t.today.refused, values: series.refused },
  ] as const
  return (
    <>
      <Plot label={t.accountPage.sent} series={series} curves={curves} height={210} />
      <PlotTable caption={t.accountPage.sent} series={series} curves={curves} />
    </>
  )
}
