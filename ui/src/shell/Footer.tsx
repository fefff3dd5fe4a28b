import { useEffect, useState } from 'react'

import { storage } from '../lib/storage'

const KEPT = 'kartshoppe.scheme'
const SCHEMES = { auto: 'Like my device', light: 'Light', dark: 'Dark' }

export function Footer() {
  const [scheme, setScheme] = useState(() => storage.get(KEPT) ?? 'auto')
  useEffect(() => {
    document.documentElement.dataset['scheme'] = scheme
    storage.set(KEPT, scheme)
  }, [scheme])
  return (
    <footer className="border-t border-line">
      <div className="mx-auto flex w-full max-w-[120rem] flex-wrap items-center justify-between gap-x-8 gap-y-3 px-4 py-5 text-[0.95rem] text-soft sm:px-6">
        <p>A demonstration shop: nothing is charged, nothing is shipped.</p>
        <div className="flex flex-wrap items-center gap-x-6 gap-y-2">
          <a href="/docs" className="link -mx-2.5 inline-flex min-h-11 min-w-11 items-center px-2.5">
            API
          </a>
          <label className="inline-flex items-center gap-2">
            Colours
            <select value={scheme} onChange={(event) => setScheme(event.target.value)} className="field w-auto text-ink">
              {Object.entries(SCHEMES).map(([value, name]) => (
                <option key={value} value={value}>
                  {name}
                </option>
              ))}
            </select>
          </label>
        </div>
      </div>
    </footer>
  )
}
