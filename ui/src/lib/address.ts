import { usePathname, useSearch } from 'wouter/use-browser-location'

/**
 * Ids in addresses, written once and read once. wouter's own hooks give addresses half decoded (`decodeURI` leaves `%2F` and turns `%25`
 * into `%`), from which the id cannot be recovered: `a/b` and `a%2Fb` would be one. These are the browser's, as they stand there.
 */
export { usePathname, useSearch }

export function productHref(productId: string): string {
  return `/product/${encodeURIComponent(productId)}`
}

export function orderHref(orderId: string): string {
  return `/orders/${encodeURIComponent(orderId)}`
}

/** The id in the path of a product's or an order's page. One that was typed by hand with a stray `%` is taken as it is. */
export function idIn(pathname: string): string {
  const written = pathname.split('/')[2] ?? ''
  try {
    return decodeURIComponent(written)
  } catch {
    return written
  }
}
