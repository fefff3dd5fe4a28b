import './ops.css'

import { QueryClientProvider } from '@tanstack/react-query'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'

import { queryClient } from './api'
import { Shell } from './Shell'
import { takeToken } from './token'

const root = document.getElementById('root')
if (root) {
  takeToken()
  addEventListener('hashchange', () => {
    if (takeToken()) void queryClient.invalidateQueries()
  })
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={queryClient}>
        <Shell />
      </QueryClientProvider>
    </StrictMode>,
  )
}
