import './styles.css'

import { QueryClientProvider } from '@tanstack/react-query'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'

import { facetsQuery, frontQuery, listingQuery, queryClient } from './api/queries'
import { isPlain, pageQueryOf, readFilters, selectionOf } from './grid/filters'
import { openShop } from './live/shopfront'
import { App } from './shell/App'
import { keepPlaces } from './shell/places'

/** Answers that come within this, in milliseconds, are drawn without empty shelves before them. */
const EMPTY_AFTER_MS = 150

const root = document.getElementById('root')
if (root) {
  keepPlaces()
  const first = askAhead()
  openShop(first)
  await Promise.race([first, new Promise((late) => setTimeout(late, EMPTY_AFTER_MS))])
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={queryClient}>
        <App />
      </QueryClientProvider>
    </StrictMode>,
  )
}

/** What the first page needs is on its way before React has begun. */
async function askAhead(): Promise<void> {
  if (location.pathname !== '/' && location.pathname !== '/products') return
  const filters = readFilters(location.search)
  void queryClient.prefetchQuery(facetsQuery(selectionOf(filters)))
  await Promise.all([queryClient.prefetchQuery(listingQuery(pageQueryOf(filters, filters.page))), isPlain(filters) && queryClient.prefetchQuery(frontQuery)])
}
