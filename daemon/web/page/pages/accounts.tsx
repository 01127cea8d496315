/** The way to an account: by its name, or from the list of those that send most. */

import type { Today } from '../../api.ts'
import { AccountSearch } from '../parts/account-search.tsx'
import { Card, Failed, PageHead } from '../parts/basics.tsx'
import { get } from '../state/call.ts'
import { useConsole } from '../state/console.ts'
import { useLoaded } from '../state/load.ts'
import { addressOf } from '../state/route.ts'
import { useTitle } from '../state/title.ts'
import { NearLimits } from './today/near-limits.tsx'
import { TopSenders } from './today/top.tsx'

const WEEK = 7 * 24 * 3_600_000

export function Accounts() {
  const { t } = useConsole()
  useTitle(t.nav.account)
  const { value, error, again } = useLoaded(signal => {
    const until = Date.now()
    return get<Today>('today', { since: until - WEEK, until }, signal)
  }, [])
  return (
    <>
      <PageHead title={t.nav.account} note={t.accounts.note} />
      <div class="stack">
        <Card>
          <div class="card-search">
            <AccountSearch
              label={t.accounts.search}
              choose={account => {
                location.hash = addressOf('account', account)
              }}
            />
          </div>
        </Card>
        {error && <Failed message={error.message} again={again} />}
        {value?.status && <NearLimits entries={value.status.nearLimits} />}
        <TopSenders senders={value?.top} />
      </div>
    </>
  )
}
