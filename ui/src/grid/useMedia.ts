import { useSyncExternalStore } from 'react'

const lists = new Map<string, MediaQueryList>()

function listOf(query: string): MediaQueryList {
  const list = lists.get(query) ?? matchMedia(query)
  lists.set(query, list)
  return list
}

/** Whether a media query holds, for parts that exist in one place or another but not in both. */
export function useMedia(query: string): boolean {
  return useSyncExternalStore(
    (changed) => {
      listOf(query).addEventListener('change', changed)
      return () => listOf(query).removeEventListener('change', changed)
    },
    () => listOf(query).matches,
  )
}
