/** Titles and ids of the strips above the shelves. */
export type Strips = readonly { readonly title: string; readonly ids: readonly string[] }[]

type Front = { readonly drops: readonly string[]; readonly almostGone: readonly string[]; readonly trending: readonly string[] }

/**
 * The strips that a front page shows after another answer of the shop: while it is open their products change, but none comes or goes, since
 * that would move all that is below. `kept` itself where nothing changed.
 */
export function keptStrips(kept: Strips, front: Front | undefined): Strips {
  if (!front) return kept
  const latest = [
    { title: 'Price drops', ids: front.drops },
    { title: 'Almost gone', ids: front.almostGone },
    { title: 'Trending', ids: front.trending },
  ].filter(({ ids }) => ids.length > 0)
  if (kept.length === 0) return latest.length > 0 ? latest : kept
  const next = kept.map((strip) => latest.find(({ title }) => title === strip.title) ?? strip)
  return next.every(({ ids }, place) => ids === kept[place]?.ids) ? kept : next
}
