import { count } from '../lib/locale'
import { Observable } from '../lib/observable'
import type { LiveProduct } from '../live/catalogue'

/** Stock from 1 to this is low, in units: as the shop's status names it, and the default until it does. */
export const lowStock = new Observable(9)
/** How long "back in stock" and "price dropped" stay, in milliseconds. */
export const NEWS_MS = 60_000

export type Stock = 'in' | 'low' | 'out' | 'back' | 'gone'

/** How a product's stock is shown. `backIsNews`: stock came back so lately that it is worth saying. */
export function stockOf({ product, removed }: Pick<LiveProduct, 'product' | 'removed'>, backIsNews: boolean): Stock {
  if (removed) return 'gone'
  if (product.inventory <= 0) return 'out'
  if (backIsNews) return 'back'
  return product.inventory <= lowStock.get() ? 'low' : 'in'
}

/** The stock in words. */
export function stockText(stock: Stock, units: number): string {
  switch (stock) {
    case 'gone':
      return 'No longer sold'
    case 'out':
      return 'Sold out'
    case 'back':
      return `Back in stock: ${count(units)}`
    case 'low':
      return `Only ${count(units)} left`
    case 'in':
      return `${count(units)} in stock`
  }
}
