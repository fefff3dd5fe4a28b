import { useEffect, useState } from 'react'

/** The current time, renewed every `everyMs`, for texts such as "3 s ago". */
export function useNow(everyMs: number): number {
  const [now, setNow] = useState(Date.now)
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs)
    return () => clearInterval(timer)
  }, [everyMs])
  return now
}

/** Whether `until` still lies ahead; renders again once when it has passed. */
export function useUntil(until: number): boolean {
  const [now, setNow] = useState(Date.now)
  useEffect(() => {
    if (until === 0) return
    const timer = setTimeout(() => setNow(Math.max(until, Date.now())), Math.max(0, until - Date.now()))
    return () => clearTimeout(timer)
  }, [until])
  return until > now
}
