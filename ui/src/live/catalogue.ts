import { useCallback, useSyncExternalStore } from 'react'

import { cents } from '../lib/money'
import type { Product, ProductChange } from '../wire'
import { merge } from './revision'

/** A product as the page knows it, and what just happened to it. A new object whenever anything changed. */
export type LiveProduct = {
  readonly product: Product
  /** No longer sold. */
  readonly removed: boolean
  /** When stock came back after it had run out, in epoch milliseconds; 0 = not seen. */
  readonly backAt: number
  /** The price before the last drop, kept while the price stays below it, and when that was. */
  readonly droppedFrom: number | null
  readonly droppedAt: number
  /** Units by which stock moved last, and when. */
  readonly movedBy: number
  readonly movedAt: number
}

/**
 * All products that this page has heard of. Components subscribe to one product each, so a change renders one card.
 * Stock and details are taken by their own revisions (`merge`), except in a whole sync, which is the catalogue.
 */
export class Catalogue {
  readonly #products = new Map<string, LiveProduct>()
  readonly #watchers = new Map<string, Set<() => void>>()
  readonly #shelfWatchers = new Set<() => void>()
  readonly #clock: () => number
  #categories: readonly string[] = []
  #whole = false

  constructor(clock: () => number = Date.now) {
    this.#clock = clock
  }

  get(productId: string): LiveProduct | undefined {
    return this.#products.get(productId)
  }

  /** Whether everything the shop sells is here: a sync came and nothing since has put it in doubt. */
  readonly isWhole = (): boolean => this.#whole

  /** Distinct categories of the products here, sorted; the same array until they change. */
  readonly categories = (): readonly string[] => this.#categories

  /** Takes what is newer in `incoming`. Tells whether the product was unknown, which puts lists out of date. */
  take(incoming: Product, change: ProductChange | null = null): boolean {
    const known = this.#products.get(incoming.productId)
    if (!known) {
      this.#put(fresh(incoming, change?.type === 'PRODUCT_REMOVED'))
      this.#refreshShelf()
      return true
    }
    const product = merge(known.product, incoming)
    if (product === known.product) return false
    const removed = product.life > known.product.life ? change?.type === 'PRODUCT_REMOVED' : known.removed || change?.type === 'PRODUCT_REMOVED'
    this.#put({ ...moved(known, product, this.#clock()), removed })
    if (product.category !== known.product.category || removed !== known.removed) this.#refreshShelf()
    return removed !== known.removed
  }

  /** Makes the catalogue exactly `products`, whatever was known: the server's word on all of it. */
  replace(products: readonly Product[]): void {
    const now = this.#clock()
    const gone = new Set(this.#products.keys())
    for (const product of products) {
      gone.delete(product.productId)
      const known = this.#products.get(product.productId)
      if (!known) this.#put(fresh(product, false))
      else if (!isSame(known, product)) this.#put({ ...moved(known, product, now), removed: false })
    }
    for (const productId of gone) {
      this.#products.delete(productId)
      this.#tell(productId)
    }
    this.#whole = true
    this.#refreshShelf()
  }

  /** From now on products may be missing here: the next whole sync or a reread heals it. */
  doubt(): void {
    this.#whole = false
    for (const watcher of this.#shelfWatchers) watcher()
  }

  watch(productId: string, watcher: () => void): () => void {
    const watchers = this.#watchers.get(productId) ?? new Set()
    this.#watchers.set(productId, watchers.add(watcher))
    return () => {
      watchers.delete(watcher)
      if (watchers.size === 0 && this.#watchers.get(productId) === watchers) this.#watchers.delete(productId)
    }
  }

  /** Told when products come or go, or categories change; not for stock and price. */
  readonly watchShelf = (watcher: () => void): (() => void) => {
    this.#shelfWatchers.add(watcher)
    return () => this.#shelfWatchers.delete(watcher)
  }

  #put(live: LiveProduct): void {
    this.#products.set(live.product.productId, live)
    this.#tell(live.product.productId)
  }

  #tell(productId: string): void {
    for (const watcher of this.#watchers.get(productId) ?? []) watcher()
  }

  #refreshShelf(): void {
    const found = new Set<string>()
    for (const { product, removed } of this.#products.values()) if (!removed && product.category) found.add(product.category)
    const categories = [...found].toSorted((a, b) => a.localeCompare(b))
    if (categories.join('\n') !== this.#categories.join('\n')) this.#categories = categories
    for (const watcher of this.#shelfWatchers) watcher()
  }
}

function fresh(product: Product, removed: boolean): LiveProduct {
  return { product, removed, backAt: 0, droppedFrom: null, droppedAt: 0, movedBy: 0, movedAt: 0 }
}

function isSame(known: LiveProduct, product: Product): boolean {
  const { life, version, detailsVersion, inventory, price } = known.product
  return !known.removed && life === product.life && version === product.version && detailsVersion === product.detailsVersion && inventory === product.inventory && price === product.price
}

/** What a shopper should notice in the step from one state to the next. */
function moved(known: LiveProduct, product: Product, now: number): LiveProduct {
  const before = known.product
  const units = product.inventory - before.inventory
  const dropped = cents(product.price) < cents(before.price)
  const stillBelow = known.droppedFrom !== null && cents(product.price) < cents(known.droppedFrom)
  return {
    product,
    removed: known.removed,
    backAt: before.inventory === 0 && product.inventory > 0 ? now : known.backAt,
    droppedFrom: dropped ? (stillBelow ? known.droppedFrom : before.price) : stillBelow ? known.droppedFrom : null,
    droppedAt: dropped ? now : known.droppedAt,
    movedBy: units === 0 ? known.movedBy : units,
    movedAt: units === 0 ? known.movedAt : now,
  }
}

/** The shop's products on this page. */
export const catalogue = new Catalogue()

/** One product, rendered again only when it changes. */
export function useLiveProduct(productId: string): LiveProduct | undefined {
  const subscribe = useCallback((watcher: () => void) => catalogue.watch(productId, watcher), [productId])
  return useSyncExternalStore(subscribe, () => catalogue.get(productId))
}

export function useKnownCategories(): readonly string[] {
  return useSyncExternalStore(catalogue.watchShelf, catalogue.categories)
}

export function useCatalogueIsWhole(): boolean {
  return useSyncExternalStore(catalogue.watchShelf, catalogue.isWhole)
}
