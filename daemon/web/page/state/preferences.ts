/** Language and colour scheme of this browser. Kept in it alone; where nothing can be kept, they end with the page. */

import { useEffect, useLayoutEffect, useState } from 'preact/hooks'
import type { Language } from '../../api.ts'

export type Scheme = 'auto' | 'light' | 'dark'

export function useLanguage(): [Language, (language: Language) => void] {
  const [language, setLanguage] = useState<Language>(() => {
    const kept = read('language')
    if (kept === 'en' || kept === 'de') return kept
    return navigator.language.toLowerCase().startsWith('de') ? 'de' : 'en'
  })
  useEffect(() => {
    document.documentElement.lang = language
    keep('language', language)
  }, [language])
  return [language, setLanguage]
}

export function useScheme(): [Scheme, (scheme: Scheme) => void] {
  const [scheme, setScheme] = useState<Scheme>(() => {
    const kept = read('scheme')
    return kept === 'light' || kept === 'dark' ? kept : 'auto'
  })
  // Before the page is painted, or it would flash in the other colours.
  useLayoutEffect(() => {
    if (scheme === 'auto') document.documentElement.removeAttribute('data-scheme')
    else document.documentElement.dataset.scheme = scheme
    keep('scheme', scheme)
    dispatchEvent(new Event('schemechange'))
  }, [scheme])
  return [scheme, setScheme]
}

/** A number that changes when colours do, to draw again what is drawn with them. */
export function useSchemeTurn(): number {
  const [turn, setTurn] = useState(0)
  useEffect(() => {
    const next = () => setTurn(number => number + 1)
    const system = matchMedia('(prefers-color-scheme: dark)')
    system.addEventListener('change', next)
    addEventListener('schemechange', next)
    return () => {
      system.removeEventListener('change', next)
      removeEventListener('schemechange', next)
    }
  }, [])
  return turn
}

function read(name: string): string | null {
  try {
    return localStorage.getItem(`mtpolicyd-${name}`)
  } catch {
    return null
  }
}

function keep(name: string, value: string): void {
  try {
    localStorage.setItem(`mtpolicyd-${name}`, value)
  } catch {
    // Cookies and storage are switched off.
  }
}
