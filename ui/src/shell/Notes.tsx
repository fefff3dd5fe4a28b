import { Announcer } from './Announcer'
import { Toasts } from './Toasts'

/** The page's notices. An open dialog makes all else inert, so it holds these itself meanwhile. */
export function Notes({ inDialog = false }: { inDialog?: boolean }) {
  return (
    <>
      <Toasts atTop={inDialog} />
      <Announcer />
    </>
  )
}
