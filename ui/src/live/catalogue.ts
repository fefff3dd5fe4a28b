import { useCallback, useEffect, useRef, useSyncExternalStore, type RefObject } from 'react'

import type { Product, ProductChange } from '../wire'
import { Pulse } from './pulse'
import { merge } from './revision'

/** How often what is in sight is brought up to date under a storm of changes, in milliseconds: as fast as figures can be read. */
const SEEN_EVERY_MS = 250
/** How often what is scrolled out of sight is. */
const UNSEEN_EVERY_MS = 2_000

/** A product as the page knows it, and what just happened to it. A new object whenever anything changed. */
export type LiveProduct = {
  readonly product: Product
  /** No longer sold. */
  readonly removed: boolean
  /** When stock came back after it had run out, in epoch milliseconds; 0 = not seen. */
  readonly backAt: number
  /** Units by which stock moved last, and when. */
  readonly movedBy: number
  readonly movedAt: number
}

type Watcher = { readonly tell: () => void; readonly isSeen: () => boolean }
/** Gives the function that asks for `act`; `everyMs` is how often that may happen. */
type Pacing = (act: () => void, everyMs: number) => () => void
const atOnce: Pacing = (act) => act

/**
 * All products that this page has read or received. Components subscribe to one product each, so a change renders one card, and are notified
 * in the rhythm of the eye: those in sight a few times a second, the others now and then. What `get` gives is always the newest.
 * Stock and details are taken by their own revisions (`merge`), except in a whole sync, which is the catalogue.
 */
export class Catalogue {
  readonly #products = new Map<string, LiveProduct>()
  readonly #watchers = new Map<string, Set<Watcher>>()
  readonly #shelfWatchers = new Set<() => void>()
  readonly #clock: () => number
  readonly #changed = new Set<string>()
  readonly #unseen = new Set<string>()
  readonly #askSeen: () => void
  readonly #askUnseen: () => void
  #whole = false
  #revision = 0

  constructor(clock: () => number = Date.now, pacing: Pacing = atOnce) {
    this.#clock = clock
    this.#askSeen = pacing(() => this.#tellSeen(), SEEN_EVERY_MS)
    this.#askUnseen = pacing(() => this.#tellUnseen(), UNSEEN_EVERY_MS)
  }

  get(productId: string): LiveProduct | undefined {
    return this.#products.get(productId)
  }

  all(): IterableIterator<LiveProduct> {
    return this.#products.values()
  }

  get size(): number {
    return this.#products.size
  }

  /** Another number whenever any product has changed. */
  get revision(): number {
    return this.#revision
  }

  /** Whether everything the shop sells is here: a sync came and nothing since has put it in doubt. */
  readonly isWhole = (): boolean => this.#whole

  /**
   * Takes what is newer in `incoming`. Returns whether the shop sells another set of products now, which puts lists out of date. Where
   * the catalogue is not whole, an unknown product is mostly one that this page has not read.
   */
  take(incoming: Product, change: ProductChange | null = null): boolean {
    const known = this.#products.get(incoming.productId)
    if (!known) {
      this.#put(fresh(incoming, change?.type === 'PRODUCT_REMOVED'))
      this.#tellShelf()
      return this.#whole || change?.type === 'PRODUCT_ADDED'
    }
    const product = merge(known.product, incoming)
    if (product === known.product) return false
    const removed = product.life > known.product.life ? change?.type === 'PRODUCT_REMOVED' : known.removed || change?.type === 'PRODUCT_REMOVED'
    this.#put({ ...moved(known, product, this.#clock()), removed })
    if (removed !== known.removed) this.#tellShelf()
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
    this.#tellShelf()
  }

  /** From now on products may be missing here: the next whole sync or a reread heals it. */
  doubt(): void {
    this.#whole = false
    this.#tellShelf()
  }

  watch(productId: string, tell: () => void, isSeen: () => boolean = () => true): () => void {
    const watcher = { tell, isSeen }
    const watchers = this.#watchers.get(productId) ?? new Set()
    this.#watchers.set(productId, watchers.add(watcher))
    return () => {
      watchers.delete(watcher)
      if (watchers.size === 0 && this.#watchers.get(productId) === watchers) this.#watchers.delete(productId)
    }
  }

  /** Called when products come or go; not for stock and price. */
  readonly watchShelf = (tell: () => void): (() => void) => {
    this.#shelfWatchers.add(tell)
    return () => this.#shelfWatchers.delete(tell)
  }

  #tellShelf(): void {
    for (const tell of this.#shelfWatchers) tell()
  }

  #put(live: LiveProduct): void {
    this.#products.set(live.product.productId, live)
    this.#tell(live.product.productId)
  }

  #tell(productId: string): void {
    this.#revision += 1
    if (!this.#watchers.has(productId)) return
    this.#changed.add(productId)
    this.#askSeen()
  }

  #tellSeen(): void {
    for (const productId of this.#changed) {
      for (const { tell, isSeen } of this.#watchers.get(productId) ?? []) {
        if (isSeen()) tell()
        else this.#unseen.add(productId)
      }
    }
    this.#changed.clear()
    if (this.#unseen.size > 0) this.#askUnseen()
  }

  #tellUnseen(): void {
    for (const productId of this.#unseen) for (const { tell } of this.#watchers.get(productId) ?? []) tell()
    this.#unseen.clear()
  }
}

function fresh(product: Product, removed: boolean): LiveProduct {
  return { product, removed, backAt: 0, movedBy: 0, movedAt: 0 }
}

function isSame(known: LiveProduct, product: Product): boolean {
  const shown: readonly (keyof Product)[] = ['life', 'version', 'detailsVersion', 'inventory', 'price', 'wasPrice', 'wasAt']
  return !known.removed && shown.every((field) => known.product[field] === product[field])
}

/** What a shopper should notice in the step from one state to the next. */
function moved(known: LiveProduct, product: Product, now: number): LiveProduct {
  const before = known.product
  const units = product.inventory - before.inventory
  return {
    product,
    removed: known.removed,
    backAt: before.inventory === 0 && product.inventory > 0 ? now : known.backAt,
    movedBy: units === 0 ? known.movedBy : units,
    movedAt: units === 0 ? known.movedAt : now,
  }
}

/** The shop's products on this page. */
export const catalogue = new Catalogue(Date.now, (act, everyMs) => new Pulse(act, everyMs).ask)

/** One product, rendered again only when it changes. */
export function useLiveProduct(productId: string): LiveProduct | undefined {
  const subscribe = useCallback((tell: () => void) => catalogue.watch(productId, tell), [productId])
  return useSyncExternalStore(subscribe, () => catalogue.get(productId))
}

/** The same for an element with `content-visibility: auto`, which the browser says when it is near the screen and when not. */
export function useLiveProductInSight(productId: string, element: RefObject<HTMLElement | null>): LiveProduct | undefined {
  const skipped = useRef(false)
  const seen = useRef<LiveProduct | undefined>(undefined)
  const notify = useRef<() => void>(() => undefined)
  const subscribe = useCallback(
    (tell: () => void) => {
      notify.current = tell
      return catalogue.watch(productId, tell, () => !skipped.current)
    },
    [productId],
  )
  const live = useSyncExternalStore(subscribe, () => catalogue.get(productId))
  const here = live !== undefined
  useEffect(() => {
    seen.current = live
  }, [live])
  useEffect(() => {
    const card = element.current
    if (!card || !here) return
    const turn = (event: Event) => {
      skipped.current = (event as ContentVisibilityAutoStateChangeEvent).skipped
      if (!skipped.current && seen.current !== catalogue.get(productId)) notify.current()
    }
    card.addEventListener('contentvisibilityautostatechange', turn)
    return () => card.removeEventListener('contentvisibilityautostatechange', turn)
  }, [element, productId, here])
  return live
}

export function useCatalogueIsWhole(): boolean {
  return useSyncExternalStore(catalogue.watchShelf, catalogue.isWhole)
}
