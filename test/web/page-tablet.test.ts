/** The console on a tablet: no barrier that axe-core knows, and nothing wider than the screen. */

import t from 'tap'
import { closeBrowser, noChromium } from '../support/console-browser.ts'
import { checkPages, checkWidths } from '../support/console-pages.ts'

t.test('every page and dialog can be used by everybody', { skip: noChromium }, t =>
  checkPages(t, { scheme: 'light', width: 768 }),
)

t.test('no window is too narrow for a page', { skip: noChromium }, checkWidths)

t.setTimeout(600_000)
t.teardown(closeBrowser)
