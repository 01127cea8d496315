/** Every page and dialog of the console: how one comes to it, and what can be seen then. */

import type { Test } from 'tap'
import { type Visit, type VisitOptions, visit } from './console-browser.ts'
import { HACKED } from './console-data.ts'

const ACCOUNT = `#/account/${encodeURIComponent(HACKED)}`

const pages: readonly [name: string, open: (visit: Visit) => Promise<void>][] = [
  [
    'today',
    async ({ go, see, click }) => {
      await go('#/today')
      await see('submission/inet')
      await see('As it happens')
      await click('DisclosureTriangle', 'The numbers as a table')
    },
  ],
  [
    'accounts',
    async ({ go, see, fill, page }) => {
      await go('#/account')
      await see('Top senders')
      await fill('Name of the account', 'a')
      await page.waitForSelector('[role=option]')
    },
  ],
  [
    'an account',
    async ({ go, see }) => {
      await go(ACCOUNT)
      await see('Last messages')
      await see('Nothing was ordered yet')
    },
  ],
  [
    'blocking an account',
    async ({ go, click, see }) => {
      await go(ACCOUNT)
      await click('button', 'Block …')
      await see('Kept in the audit trail')
      await click('radio', 'at another time')
    },
  ],
  [
    'limiting an account, with a mistake',
    async ({ go, click, see }) => {
      await go(ACCOUNT)
      await click('button', 'Set a limit …')
      await click('button', 'Set the limit')
      await see('Enter a limit')
    },
  ],
  [
    'refusals, one explained',
    async ({ go, page, see }) => {
      await go('#/refusals')
      await (await page.waitForSelector('.grid tbody button'))?.click()
      await see('What each rule saw')
    },
  ],
  [
    'refusals',
    async ({ go, see }) => {
      await go('#/refusals')
      await see('refusals so far')
    },
  ],
  [
    'a trial',
    async ({ go, fill, click, see }) => {
      await go('#/tryout')
      await fill('Recipients per day', '200')
      await click('button', 'Try it')
      await see('newly stopped')
    },
  ],
  [
    'variables, one open',
    async ({ go, page, see }) => {
      await go('#/variables')
      await (await page.waitForSelector('.variable summary'))?.click()
      await see('Preview …')
    },
  ],
  [
    'variables, a preview',
    async ({ go, page, click, see }) => {
      await go('#/variables')
      await (await page.waitForSelector('.variable summary'))?.click()
      await click('button', 'Unset …')
      await see('mtpolicyd.conf')
    },
  ],
  [
    'a refusal that is not known',
    async ({ go, see }) => {
      await go('#/why/AAA-AAA')
      await see('no longer kept')
    },
  ],
  [
    'a server that fails',
    async ({ go, see, stub }) => {
      await go('#/refusals')
      stub.fail = 503
      await go('#/today')
      await see('the daemon does not run')
    },
  ],
]

/** On both sides of where the layout changes. */
const WIDTHS = [360, 679, 680, 767, 768, 899, 900, 1279, 1280, 1366]

/** Looks for barriers, and for what is wider than the screen, on every page. */
export async function checkPages(t: Test, options: VisitOptions): Promise<void> {
  // So high that no bar hides a part of something else.
  const size = { height: 4000, ...options }
  const login = await visit(t, size)
  await login.go('')
  await login.see('mtpolicyctl web login')
  t.strictSame(await login.barriers(), [], 'login')
  const there = await visit(t, { ...size, role: 'change' })
  for (const [name, open] of pages) {
    await open(there)
    t.strictSame(await there.barriers(), [], name)
    await fits(t, there, name, options.width)
  }
  // Its words are longer.
  const german = await visit(t, { ...size, role: 'change', language: 'de' })
  for (const hash of ['#/today', '#/account', ACCOUNT, '#/refusals', '#/tryout', '#/variables']) {
    await german.go(hash)
    await german.page.waitForNetworkIdle({ idleTime: 100, concurrency: 1 })
    await fits(t, german, `${hash} in German`, options.width)
  }
}

/** Pages at many widths, in German, whose words are long. */
export async function checkWidths(t: Test): Promise<void> {
  const german = await visit(t, { role: 'change', language: 'de' })
  for (const hash of ['#/today', '#/account', ACCOUNT, '#/refusals', '#/tryout', '#/variables']) {
    await german.go(hash)
    await german.page.waitForNetworkIdle({ idleTime: 100, concurrency: 1 })
    for (const width of WIDTHS) {
      await german.page.setViewport({ width, height: 1000 })
      await fits(t, german, hash, width)
    }
  }
}

/** A telephone widens its view to what is too wide, so it is compared with the width that was asked for. */
async function fits(t: Test, { page }: Visit, name: string, width = 1440): Promise<void> {
  const needed = Number(await page.evaluate('document.documentElement.scrollWidth'))
  t.ok(needed <= width, `${name} fits into ${width} px, ${needed}`)
}
