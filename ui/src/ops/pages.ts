import { Layers, LayoutDashboard, PenLine, type LucideIcon } from 'lucide-react'
import type { ComponentType } from 'react'

/** Headings of the navigation, in its order. */
export const GROUPS = ['Now', 'Records', 'Shop', 'Process'] as const

/**
 * A page of the console. Pages with an `icon` stand in the navigation below their group; others are reached by links. What `load` brings is
 * a part of its own, fetched when the page is opened, and exports the page as `default`.
 * The path's first part must be one of src/api/page/console.rs too.
 */
export type Page = { path: string; name: string; group: (typeof GROUPS)[number]; icon?: LucideIcon; load: () => Promise<{ default: ComponentType }> }

export const PAGES: readonly Page[] = [
  { path: '/', name: 'Overview', group: 'Now', icon: LayoutDashboard, load: () => import('./overview/OverviewPage') },
  { path: '/topics', name: 'Topics', group: 'Records', icon: Layers, load: () => import('./topics/TopicsPage') },
  { path: '/produce', name: 'Produce', group: 'Records', icon: PenLine, load: () => import('./produce/ProducePage') },
]
