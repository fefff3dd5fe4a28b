export type CartAdd = { productId: string; userId?: string; quantity?: number }
