import { askText } from '../api'
import { linkTo } from '../params'
import { readExactly, type Draft, type ShownRecord } from './draft'

const note = (field: string) => `The record holds the whole product as the shop has it now, with its ${field} changed.`

export const TEMPLATES = [
  { id: 'restock', name: 'Restock', field: 'inventory', label: 'New stock', fallback: '10', note: note('stock') },
  { id: 'price', name: 'Price drop', field: 'price', label: 'New price', fallback: '', note: note('price') },
  { id: 'new', name: 'New product', field: null, label: '', fallback: '', note: 'The record holds a whole product, made up. Change its productId before you write it twice: the second record would change the first one\'s product.' },
] as const
export type Template = (typeof TEMPLATES)[number]

const NEW_PRODUCT = { productId: 'PROD_NEW', name: 'New product', description: '', category: 'Home', brand: '', price: 19.9, inventory: 10, imageUrl: '', tags: [], rating: 0, reviewCount: 0 }

/** Records of one topic that are searched for a product's newest state. */
const LAST = 1_000_000

/** The newest record of a product in `products`: its state as the shop keeps it. */
export async function stateOf(productId: string): Promise<ShownRecord | null> {
  const where = `.key == ${JSON.stringify(productId)}`
  const text = await askText(linkTo('/admin/topics/products/records', { from: `-${LAST}`, limit: 1, where }))
  const { records } = readExactly(text) as { records: ShownRecord[] }
  return records.at(-1) ?? null
}

/** A record that sets one field of a product, whole and without a key, as its supplier would write it. */
export async function changeOf(productId: string, field: string, value: string): Promise<Draft> {
  const state = await stateOf(productId)
  if (!state || state.value === null || typeof state.value !== 'object') throw new Error(`The shop has no product ${productId}.`)
  const amount = Number(value)
  if (value.trim() === '' || !Number.isFinite(amount)) throw new Error(`${value} is no number.`)
  return draft({ ...state.value, [field]: amount })
}

export function newProduct(): Draft {
  return draft(NEW_PRODUCT)
}

function draft(value: object): Draft {
  return { topic: 'product-updates', hasKey: false, key: '', kind: 'json', value: JSON.stringify(value, null, 2), headers: [], partition: '' }
}
