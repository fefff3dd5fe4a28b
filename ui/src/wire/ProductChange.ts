/** One change of a product: what a frame says beside the product, and a line of its history. */
export type ProductChange = {
  type: string
  previousInventory: number | null
  currentInventory: number
  previousPrice: number | null
  currentPrice: number | null
  orderId: string | null
  timestamp: number
  life: number
  version: number
}
