import type { Product } from '../wire'

/** Whether (`life`, `version`) is newer than the other: a later life beats any version of an earlier one. */
export function isNewer(life: number, version: number, thanLife: number, thanVersion: number): boolean {
  return life > thanLife || (life === thanLife && version > thanVersion)
}

/**
 * What a page shows after `incoming` came: stock and price are taken if their (life, version) is newer, everything
 * else if its (life, detailsVersion) is. So an old description that arrives with new stock hides nothing, nor the
 * other way round. Gives `current` itself when nothing is newer.
 */
export function merge(current: Product, incoming: Product): Product {
  const stockIsNewer = isNewer(incoming.life, incoming.version, current.life, current.version) || addsDrop(current, incoming)
  const detailsAreNewer = isNewer(incoming.life, incoming.detailsVersion, current.life, current.detailsVersion)
  if (!stockIsNewer && !detailsAreNewer) return current
  const stock = stockIsNewer ? incoming : current
  const details = detailsAreNewer ? incoming : current
  // The price before a drop goes with the price; without one the field is not there.
  const { wasPrice: _, wasAt: __, ...rest } = details
  const { wasPrice, wasAt } = stock
  return {
    ...rest,
    ...(wasPrice === undefined || wasAt === undefined ? {} : { wasPrice, wasAt }),
    inventory: stock.inventory,
    price: stock.price,
    version: stock.version,
    life: Math.max(stock.life, details.life),
    timestamp: Math.max(current.timestamp, incoming.timestamp),
  }
}

/** The shop may learn of a drop after it has sent the price: then the same revision comes again, with the price before. */
function addsDrop(current: Product, incoming: Product): boolean {
  return incoming.life === current.life && incoming.version === current.version && incoming.wasAt !== undefined && incoming.wasAt !== current.wasAt
}
