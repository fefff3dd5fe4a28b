import type { Product } from './Product'

export type InventoryState = {
  products: Product[]
  totalProducts: number
  timestamp: number
  categories: string[]
}
