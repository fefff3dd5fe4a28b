import type { ReactNode } from 'react'

import { SideDialog, SideTitle } from '../shell/SideDialog'

/** The filters where there is no room beside the list. */
export function FilterDialog({ open, onClose, result, children }: { open: boolean; onClose: () => void; result: string; children: ReactNode }) {
  return (
    <SideDialog open={open} onClose={onClose} titleId="filter-title" className="max-w-sm flex-col open:flex">
      <SideTitle id="filter-title" title="Filter" close="Close filters" onClose={onClose} className="px-4 pt-4 sm:px-6" />
      <div className="flex grow flex-col gap-7 px-4 py-5 sm:px-6">{children}</div>
      <div className="sticky bottom-0 border-t border-line bg-paper px-4 py-3 sm:px-6">
        <button type="button" onClick={onClose} className="btn-main w-full">
          {result}
        </button>
      </div>
    </SideDialog>
  )
}
