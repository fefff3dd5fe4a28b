import { useQuery } from '@tanstack/react-query'

import { ask, Refused } from '../api'

/** What `/readyz` says: what stands in the way, and what should be looked at though nothing does. */
export type Readiness = { ready: boolean; reasons: string[]; warnings: string[] }

export function useReadiness() {
  return useQuery({
    queryKey: ['admin', '/readyz'],
    queryFn: async ({ signal }): Promise<Readiness> => {
      try {
        const { warnings = [] } = await ask<{ warnings?: string[] }>('/readyz', { signal })
        return { ready: true, reasons: [], warnings }
      } catch (error) {
        if (!(error instanceof Refused) || error.problem.code !== 'not_ready') throw error
        const { reasons = [error.message], warnings = [] } = error.problem as { reasons?: string[]; warnings?: string[] }
        return { ready: false, reasons, warnings }
      }
    },
    refetchInterval: 3_000,
  })
}
