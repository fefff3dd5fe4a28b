/** Products of one strip: all that a narrow column holds. */
export const SHOWN = 4

/** The strips with what none before them shows in front, so that one product stands in several only where a strip has too few of its own. */
export function apart<T extends { ids: readonly string[] }>(strips: readonly T[]): T[] {
  const shown = new Set<string>()
  return strips.map((strip) => {
    const ids = [...strip.ids.filter((id) => !shown.has(id)), ...strip.ids.filter((id) => shown.has(id))]
    for (const id of ids.slice(0, SHOWN)) shown.add(id)
    return { ...strip, ids }
  })
}
