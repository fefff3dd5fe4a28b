import { useState } from 'react'

import { pictureOf } from '../api/shop'

type Props = { productId: string; url?: string | null | undefined; alt: string; className?: string; eager?: boolean }

/** Width and height of a product's generated picture, in CSS pixels: reserved before it arrives. */
const WIDTH = 480
const HEIGHT = 480

/** A product's picture, or a plain box where there is none. Only our own addresses and data are loaded, never another host's. */
export function Picture({ productId, url, alt, className = '', eager = false }: Props) {
  const source = url?.startsWith('/api/') || url?.startsWith('data:image/') ? url : pictureOf(productId)
  const [failed, setFailed] = useState<string | null>(null)
  if (failed === source) {
    return (
      <svg viewBox="0 0 48 48" width={WIDTH} height={HEIGHT} role={alt ? 'img' : undefined} aria-label={alt || undefined} aria-hidden={alt ? undefined : true} className={`bg-well ${className}`}>
        <path d="M12 20h24v16H12zM12 20l4-6h16l4 6M24 14v6" fill="none" className="stroke-soft" strokeWidth="1.5" strokeLinejoin="round" />
      </svg>
    )
  }
  return <img src={source} width={WIDTH} height={HEIGHT} alt={alt} loading={eager ? 'eager' : 'lazy'} decoding="async" onError={() => setFailed(source)} className={`bg-well ${className}`} />
}
