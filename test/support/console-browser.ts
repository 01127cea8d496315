/**
 * The console's page in a real Chromium, as a person sees and uses it. Debian's package `chromium`; without it the
 * tests are skipped, and say so.
 */

import { existsSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import axe from 'axe-core'
import puppeteer, { type Browser, type Page } from 'puppeteer-core'
import type { Test } from 'tap'
import type { Role } from '../../daemon/web/api.ts'
import { replaceFolder } from '../../scripts/replace.ts'
import { bundlePage } from '../../scripts/web-page.ts'
import { type ConsoleStub, consoleStub } from './console-stub.ts'

const CHROMIUM = '/usr/bin/chromium'
/** For `skip` of a test. */
export const noChromium = existsSync(CHROMIUM) ? false : 'chromium is not installed'
/** Everything is there long before, but on a machine that has much else to do. */
const PATIENCE_MILLISECONDS = 30_000
/** Below which the console is, as behind a reverse proxy. */
export const PREFIX = '/mail/console'

export interface Visit extends Reader {
  readonly stub: ConsoleStub
  /** Opens `#/…` */
  go(hash: string): Promise<void>
}

/** A person before a browser. */
export interface Reader {
  readonly page: Page
  /** Waits until the text can be read. */
  see(text: string): Promise<void>
  /** Clicks the visible button, link or the like with this accessible name, or its beginning. */
  click(role: string, name: string): Promise<void>
  /** Types into the field with this label, which is emptied first. */
  fill(label: string, text: string): Promise<void>
  /** All that can be read. */
  text(): Promise<string>
  /** The names of what can be pressed or followed. */
  offered(): Promise<string[]>
  /** What an automatic reader finds wrong with accessibility; nothing, it should be. */
  barriers(): Promise<string[]>
}

export interface VisitOptions {
  /** Logged in already, so; undefined: not logged in. */
  readonly role?: Role
  readonly language?: string
  readonly scheme?: 'light' | 'dark'
  readonly width?: number
  readonly height?: number
}

let browser: Promise<Browser> | undefined
let folder: Promise<string> | undefined

async function built(): Promise<string> {
  const made = mkdtempSync(join(tmpdir(), 'console-page-'))
  replaceFolder(made, await bundlePage(join(import.meta.dirname, '../..')))
  return made
}

/** The page alone, with a server that answers from described data. */
export async function visit(t: Test, options: VisitOptions = {}): Promise<Visit> {
  const { role } = options
  folder ??= built()
  const stub = await consoleStub(await folder, { prefix: PREFIX, ...(role ? { role } : {}) })
  t.teardown(() => stub.close())
  const reader = await reads(t, options)
  return {
    ...reader,
    stub,
    async go(hash) {
      // Otherwise the address alone would change, and not the page.
      await reader.page.goto('about:blank')
      await reader.page.goto(`${stub.address}${hash}`)
    },
  }
}

/** A browser of its own, with no page yet. */
export async function reads(t: Test, options: VisitOptions = {}): Promise<Reader> {
  browser ??= puppeteer.launch({
    executablePath: CHROMIUM,
    // Tests run as root, for whom Chromium has no sandbox; it opens pages of ours alone.
    args: ['--no-sandbox', '--disable-gpu'],
  })
  const { width = 1440, height = 900, scheme = 'light', language = 'en' } = options
  const context = await (await browser).createBrowserContext()
  const page = await context.newPage()
  page.setDefaultTimeout(PATIENCE_MILLISECONDS)
  const complaints: string[] = []
  page.on('pageerror', error => complaints.push(String(error)))
  page.on('console', message => {
    // A page that asks whether somebody is logged in may be told that nobody is; other answers are tested for.
    if (message.type() === 'error' && !message.text().includes('status of')) {
      complaints.push(message.text())
    }
  })
  t.teardown(async () => {
    await context.close()
    if (complaints.length > 0) throw new Error(`the browser complains: ${complaints.join('; ')}`)
  })
  await page.setViewport({ width, height, isMobile: width < 500 })
  await page.emulateMediaFeatures([
    { name: 'prefers-color-scheme', value: scheme },
    { name: 'prefers-reduced-motion', value: 'reduce' },
  ])
  await page.evaluateOnNewDocument(chosen => {
    Object.defineProperty(navigator, 'language', { value: chosen })
  }, language)

  // As texts: these tests are compiled without the types of a browser.
  const text = async () => String(await page.evaluate('document.body.innerText'))
  const see = async (wanted: string) => {
    const end = Date.now() + PATIENCE_MILLISECONDS
    for (;;) {
      const shown = await text()
      if (shown.toLowerCase().includes(wanted.toLowerCase())) return
      if (Date.now() > end) throw new Error(`"${wanted}" is not in:\n${shown}`)
      await setTimeout(50)
    }
  }
  const find = (role_: string, name: string) => {
    const selector = `::-p-aria([role="${role_}"][name="${name.replaceAll('"', '\\"')}"])`
    return page.locator(selector).setWaitForEnabled(false)
  }
  return {
    page,
    see,
    async click(role_, name) {
      await find(role_, name).click()
    },
    async fill(label, text) {
      const field = await page.waitForSelector(`::-p-aria([name="${label}"])`)
      await field?.click({ count: 3 })
      await page.keyboard.press('Backspace')
      await field?.type(text)
    },
    text,
    async offered() {
      const named = `[...document.querySelectorAll('button, a')].map(one => one.ariaLabel ?? one.innerText.trim())`
      return (await page.evaluate(named)) as string[] // see the line before
    },
    async barriers() {
      // Not by a <script>, which the policy of the page forbids.
      await page.evaluate(axe.source)
      const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']
      const run = `axe.run(document, ${JSON.stringify({ runOnly: tags })})`
      const { violations } = (await page.evaluate(run)) as axe.AxeResults // the line before
      return violations.map(
        ({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(' | ')}`,
      )
    },
  }
}

/** To be called once at the end of a file of tests. */
export async function closeBrowser(): Promise<void> {
  await (await browser)?.close()
}
