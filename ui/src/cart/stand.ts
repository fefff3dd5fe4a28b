import { useMemo, useSyncExternalStore } from 'react'

import { catalogue, type LiveProduct } from '../live/catalogue'
import type { CartItem } from '../wire'

/** How a line stands against the shelf. `left`: units there are. */
export type Stand = { readonly is: 'fine' } | { readonly is: 'gone' } | { readonly is: 'out' } | { readonly is: 'short'; readonly left: number }

/** A line that can't be ordered any more: the shop said so, or knows everything it sells and not this. */
export function isGone(line: CartItem, live: LiveProduct | undefined, isWhole: boolean): boolean {
  return !line.available || (live ? live.removed : isWhole)
}

export function standOf(line: CartItem, live: LiveProduct | undefined, isWhole: boolean): Stand {
  if (isGone(line, live, isWhole)) return { is: 'gone' }
  if (!live || live.product.inventory >= line.quantity) return { is: 'fine' }
  return live.product.inventory <= 0 ? { is: 'out' } : { is: 'short', left: live.product.inventory }
}

/** The lines that can't be ordered any more; renders again when that changes. */
export function useGone<T extends CartItem>(lines: readonly T[]): T[] {
  const ids = useSyncExternalStore(catalogue.watchShelf, () => {
    const gone = lines.filter((line) => isGone(line, catalogue.get(line.productId), catalogue.isWhole()))
    return JSON.stringify(gone.map((line) => line.productId))
  })
  return useMemo(() => {
    const gone = new Set(JSON.parse(ids) as string[])
    return lines.filter((line) => gone.has(line.productId))
  }, [ids, lines])
}
