import { useState } from 'react'

import type { Live } from '../wire'
import { useLines } from './stream'

/** How the process is, once a second; null before the first frame. What came last stays shown while the server is gone. */
export function useLive(): Live | null {
  const [live, setLive] = useState<Live | null>(null)
  useLines('/admin/live', (line) => setLive(JSON.parse(line) as Live))
  return live
}
