import { count } from '../lib/locale'
import { money } from '../lib/money'
import { inText } from '../lib/text'
import { lowStock } from '../product/stock'
import type { Product, ProductChange } from '../wire'

/** At most one notice in this time, in milliseconds; what comes meanwhile is counted and shown at its end. */
export const QUIET_MS = 3_000

/** What is worth telling about a change of a product in the cart or on screen; null for what the page shows well enough by itself. */
export function noticeOf(product: Product, change: ProductChange): string | null {
  switch (change.type) {
    case 'OUT_OF_STOCK':
      return change.previousInventory === 0 ? null : `${inText(product.name)} is now sold out`
    case 'BACK_IN_STOCK':
      return `${inText(product.name)} is back in stock`
    case 'PRODUCT_REMOVED':
      return `${inText(product.name)} is no longer sold`
    case 'INVENTORY_DECREASED':
      return product.inventory <= lowStock.get() ? `${inText(product.name)}: only ${count(product.inventory)} left` : null
    case 'PRICE_CHANGED':
      return `${inText(product.name)} now costs ${money(product.price)}`
    default:
      return null
  }
}

/** Lets one text through at once and folds those that follow too soon into one. */
export class Throttle {
  readonly #tell: (text: string) => void
  #waiting: string[] = []
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(tell: (text: string) => void) {
    this.#tell = tell
  }

  add(text: string): void {
    if (this.#timer === undefined) {
      this.#tell(text)
      this.#timer = setTimeout(() => this.#flush(), QUIET_MS)
    } else if (!this.#waiting.includes(text)) {
      this.#waiting.push(text)
    }
  }

  #flush(): void {
    this.#timer = undefined
    const [first, ...more] = this.#waiting
    this.#waiting = []
    if (first === undefined) return
    this.add(more.length === 0 ? first : `${more.length + 1} things changed in your cart or on this page`)
  }
}
