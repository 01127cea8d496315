/** All refusals that are kept, by what one is looking for. */

import { useEffect, useState } from 'preact/hooks'
import { Card, Empty, Failed, Loading, PageHead } from '../parts/basics.tsx'
import { useConsole } from '../state/console.ts'
import { addressOf, replaceAddress } from '../state/route.ts'
import { useTitle } from '../state/title.ts'
import { type Filter, FilterForm, NO_FILTER, readFilter } from './refusals/filter-form.tsx'
import { RefusalWindow } from './refusals/refusal-window.tsx'
import { useRefusals } from './refusals/use-refusals.ts'
import { WhyDrawer } from './why/why-drawer.tsx'

const PAUSE_MILLISECONDS = 250

export function Refusals({ query }: { query: URLSearchParams }) {
  const { t, f } = useConsole()
  useTitle(t.nav.refusals)
  const [typed, setTyped] = useState<Filter>(() => readFilter(query))
  const [filter, setFilter] = useState(typed)
  const [code, setCode] = useState('')
  const found = useRefusals(filter)

  // A link to this page with another filter, while it is shown.
  const address = addressOf('refusals', '', { ...typed })

  useEffect(() => {
    const timer = setTimeout(() => {
      setFilter(typed)

      replaceAddress(address)
    }, PAUSE_MILLISECONDS)
    return () => clearTimeout(timer)
  }, [typed, address])

  const isFiltered = Object.keys(NO_FILTER).some(
    name => filter[name as keyof Filter] !== NO_FILTER[name as keyof Filter],
  )
  return (
    <>
      <PageHead title={t.nav.refusals} note={t.refusals.note} />
      <Card>
        <FilterForm filter={typed} set={setTyped} />
        {found.error && (
          <div class="card-body">
            <Failed message={found.error} again={found.more} />
          </div>
        )}
        <div class="result-line" role="status">
          {found.lines.length > 0 || !found.isLoading
            ? t.refusals.count(f.number(found.lines.length), found.hasMore)
            : t.loading}
        </div>
        {found.lines.length > 0 ? (
          <RefusalWindow
            lines={found.lines}
            hasMore={found.hasMore}
            isLoading={found.isLoading}
            more={found.more}
            open={setCode}
          />
        ) : found.isLoading ? (
          <Loading lines={12} />
        ) : (
          !found.error && (
            <Empty
              icon={isFiltered ? 'search' : 'good'}
              title={isFiltered ? t.refusals.noneFound : t.refusals.none}
            >
              {isFiltered ? t.refusals.noneFoundHelp : t.refusals.noneHelp(found.days)}
            </Empty>
          )
        )}
      </Card>
      {code !== '' && <WhyDrawer code={code} close={() => setCode('')} />}
    </>
  )
}
