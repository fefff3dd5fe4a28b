import { nameOf, plain } from './text'

/** The name of a product, kept apart from the text around it whatever its direction. */
export function Name({ text }: { text: string }) {
  return <bdi>{nameOf(text)}</bdi>
}

/** Other words that came with a product or a shopper: brand, category, tag, description, address. */
export function Words({ text }: { text: string }) {
  return <bdi>{plain(text)}</bdi>
}
