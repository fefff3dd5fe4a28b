import { readFileSync } from 'node:fs'

import { expect, type APIRequestContext } from '@playwright/test'

import type { Product } from '../src/wire'

/** A product as its source writes it: the four needed fields, and any of the others. */
export type Offered = Pick<Product, 'productId' | 'name' | 'price' | 'inventory'> & { category?: string; imageUrl?: string | null }

/** Products that are all allowed and all awkward; also a bootstrap file. Made by tests/it/support/hostile.rs. */
export const HOSTILE = JSON.parse(readFileSync(new URL('hostile-catalogue.json', import.meta.url), 'utf8')) as Offered[]

/** Puts products into the running shop through the operators' listener, and waits until the shop shows the last of them. */
export async function offer(request: APIRequestContext, products: readonly Offered[] = HOSTILE): Promise<void> {
  const admin = process.env['KARTSHOPPE_ADMIN_URL'] ?? ''
  const data = { records: products.map((product) => ({ key: product.productId, value: product })) }
  const answer = await request.post(`${admin}/admin/topics/product-updates/records`, { headers: { 'x-kartshoppe-operator': 'e2e' }, data })
  expect(answer.ok(), await answer.text()).toBe(true)
  for (const product of products) await expect.poll(async () => (await request.get(pathOf(product.productId))).status(), product.productId).toBe(200)
}

/** Takes the products away again, so that later specs meet the shop as it was. */
export async function withdraw(request: APIRequestContext, products: readonly Offered[] = HOSTILE): Promise<void> {
  const admin = process.env['KARTSHOPPE_ADMIN_URL'] ?? ''
  const data = { records: products.map((product) => ({ key: product.productId, value: null })) }
  const answer = await request.post(`${admin}/admin/topics/product-updates/records`, { headers: { 'x-kartshoppe-operator': 'e2e' }, data })
  expect(answer.ok(), await answer.text()).toBe(true)
}

export function pathOf(productId: string): string {
  return `/api/ecommerce/product/${encodeURIComponent(productId)}`
}
