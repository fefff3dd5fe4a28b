import type { Cart, CartItem, Order, Product, ProductChange } from './wire'

/** Shapes for tests: everything in place, only what matters given. */
export function aProduct(fields: Partial<Product> = {}): Product {
  return {
    productId: 'PROD_0001',
    name: 'Oak Stool',
    description: 'A stool.',
    category: 'Home',
    brand: 'Moss',
    price: 40,
    inventory: 10,
    imageUrl: '',
    tags: [],
    rating: 4,
    reviewCount: 3,
    life: 1,
    version: 1,
    detailsVersion: 1,
    timestamp: 1_000,
    ...fields,
  }
}

export function aChange(fields: Partial<ProductChange> = {}): ProductChange {
  return { type: 'INVENTORY_DECREASED', previousInventory: 10, currentInventory: 8, previousPrice: 40, currentPrice: 40, orderId: null, timestamp: 1_000, life: 1, version: 2, reason: 'order', ...fields }
}

export function aLine(productId: string, quantity: number): CartItem {
  return { productId, productName: productId, price: 10, quantity, subtotal: 10 * quantity, imageUrl: '', addedAt: 0, available: true }
}

export function aCart(items: CartItem[], fields: Partial<Cart> = {}): Cart {
  return {
    cartId: 'cart',
    sessionId: 'session',
    userId: 'user',
    items,
    totalAmount: 0,
    createdAt: 0,
    updatedAt: 0,
    status: 'ACTIVE',
    quote: { subtotal: 0, tax: 0, shipping: 0, totalAmount: 0 },
    ...fields,
  }
}

export function anOrder(fields: Partial<Order> = {}): Order {
  return {
    orderId: 'order',
    userId: 'user',
    sessionId: 'session',
    items: [],
    subtotal: 0,
    tax: 0,
    shipping: 0,
    totalAmount: 0,
    payable: { subtotal: 0, tax: 0, shipping: 0, totalAmount: 0 },
    status: 'PENDING',
    shippingAddress: null,
    paymentInfo: null,
    useCdc: false,
    timeline: [],
    traceUrl: null,
    createdAt: 0,
    updatedAt: 0,
    timestamp: 0,
    ...fields,
  }
}
