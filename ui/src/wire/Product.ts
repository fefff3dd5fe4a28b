/** A product with its revision. `version` belongs to stock and price, `detailsVersion` to all else; both count within a `life`. */
export type Product = {
  productId: string
  name: string
  description: string
  category: string
  brand: string
  price: number
  inventory: number
  imageUrl: string
  tags: string[]
  rating: number
  reviewCount: number
  life: number
  version: number
  detailsVersion: number
  /** Time of the last change, in epoch milliseconds. */
  timestamp: number
}
