import { useEffect, useRef } from 'react'

import { askRaw, queryClient } from './api'

/** Pauses between attempts, in milliseconds: the last one goes on. */
const PAUSES = [250, 1_000, 2_000, 5_000]

/**
 * Reads a stream of lines by `fetch`, as `EventSource` sends no headers. Begins again when it breaks off, rests while the tab is hidden,
 * and ends with the component. The prefix `data: ` of server-sent events is left out, and so are empty lines.
 */
export function useLines(path: string | null, onLine: (line: string) => void): void {
  const latest = useRef(onLine)
  useEffect(() => {
    latest.current = onLine
  })
  useEffect(() => {
    if (path === null) return
    let reading: AbortController | null = null
    const follow = () => {
      if (document.hidden) return reading?.abort(), (reading = null), undefined
      if (reading) return
      reading = new AbortController()
      void readAgain(path, reading.signal, (line) => latest.current(line))
    }
    follow()
    document.addEventListener('visibilitychange', follow)
    return () => {
      document.removeEventListener('visibilitychange', follow)
      reading?.abort()
    }
  }, [path])
}

async function readAgain(path: string, signal: AbortSignal, onLine: (line: string) => void): Promise<void> {
  for (let failures = 0; !signal.aborted; failures++) {
    try {
      await readLines(path, signal, (line) => {
        failures = 0
        onLine(line)
      })
    } catch {
      // The banner says so; the next attempt follows.
    }
    if (signal.aborted) return
    if (failures === 0) void queryClient.invalidateQueries({ queryKey: ['admin', '/admin/console'] })
    await new Promise((next) => setTimeout(next, PAUSES[Math.min(failures, PAUSES.length - 1)]))
  }
}

async function readLines(path: string, signal: AbortSignal, onLine: (line: string) => void): Promise<void> {
  const response = await askRaw(path, { signal, timeoutMs: 2_147_483_647 })
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  for (;;) {
    const { done, value } = (await reader?.read()) ?? { done: true, value: undefined }
    if (done) return
    const lines = (rest + value).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const text = line.replace(/^data: ?/, '').trimEnd()
      if (text !== '' && !text.startsWith(':')) onLine(text)
    }
  }
}
