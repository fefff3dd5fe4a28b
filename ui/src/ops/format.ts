import { count } from '../lib/locale'

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

/** `1.5 MiB`. */
export function bytes(size: number): string {
  let unit = 0
  while (size >= 1024 && unit < UNITS.length - 1) {
    size /= 1024
    unit++
  }
  return `${unit === 0 || size >= 100 ? count(Math.round(size)) : size.toFixed(1)} ${UNITS[unit]}`
}

/** A span in milliseconds: `42 ms`, `3.1 s`, `5 min 3 s`, `2 h 5 min`, `3 d 4 h`. */
export function span(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`
  if (ms < 10_000) return `${(ms / 1_000).toFixed(1)} s`
  const seconds = Math.round(ms / 1_000)
  if (seconds < 60) return `${seconds} s`
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3_600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ]
  const first = parts.findIndex(([many]) => many > 0)
  return parts
    .slice(first, first + 2)
    .filter(([many]) => many > 0)
    .map(([many, unit]) => `${many} ${unit}`)
    .join(' ')
}

/** So many a second: `0`, `0.4`, `12`, `1,204`. */
export function rate(perSecond: number): string {
  return perSecond === 0 || perSecond >= 10 ? count(Math.round(perSecond)) : perSecond.toFixed(1)
}
