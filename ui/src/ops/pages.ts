import { Database, GraduationCap, Layers, LayoutDashboard, Network, PenLine, ReceiptText, ScanSearch, ScrollText, SlidersHorizontal, TriangleAlert, Waypoints, type LucideIcon } from 'lucide-react'
import type { ComponentType } from 'react'

/** Headings of the navigation, in its order. */
export const GROUPS = ['Now', 'Records', 'Shop', 'Process', 'Learn'] as const

/**
 * A page of the console. Pages with an `icon` stand in the navigation below their group; others are reached by links. What `load` brings is
 * a part of its own, fetched when the page is opened, and exports the page as `default`.
 * The path's first part must be one of src/api/page/console.rs too.
 */
export type Page = { path: string; name: string; group: (typeof GROUPS)[number]; icon?: LucideIcon; load: () => Promise<{ default: ComponentType }> }

export const PAGES: readonly Page[] = [
  { path: '/', name: 'Overview', group: 'Now', icon: LayoutDashboard, load: () => import('./overview/OverviewPage') },
  { path: '/flow', name: 'Flow', group: 'Now', icon: Waypoints, load: () => import('./flow/FlowPage') },
  { path: '/actors', name: 'Actors', group: 'Now', icon: Network, load: () => import('./actors/ActorsPage') },
  { path: '/actors/*', name: 'Actor', group: 'Now', load: () => import('./actors/ActorPage') },
  { path: '/trouble', name: 'Trouble', group: 'Now', icon: TriangleAlert, load: () => import('./trouble/TroublePage') },
  { path: '/topics', name: 'Topics', group: 'Records', icon: Layers, load: () => import('./topics/TopicsPage') },
  { path: '/inspect', name: 'Inspect', group: 'Records', icon: ScanSearch, load: () => import('./inspect/InspectPage') },
  { path: '/r/:topic/:partition/:offset', name: 'Record', group: 'Records', load: () => import('./inspect/RecordPage') },
  { path: '/produce', name: 'Produce', group: 'Records', icon: PenLine, load: () => import('./produce/ProducePage') },
  { path: '/orders', name: 'Orders', group: 'Shop', icon: ReceiptText, load: () => import('./orders/OrdersPage') },
  { path: '/orders/:id', name: 'Order', group: 'Shop', load: () => import('./orders/OrderPage') },
  { path: '/products/:id', name: 'Product', group: 'Shop', load: () => import('./products/ProductPage') },
  { path: '/wal', name: 'WAL', group: 'Process', icon: Database, load: () => import('./wal/WalPage') },
  { path: '/logs', name: 'Logs', group: 'Process', icon: ScrollText, load: () => import('./logs/LogsPage') },
  { path: '/config', name: 'Configuration', group: 'Process', icon: SlidersHorizontal, load: () => import('./config/ConfigPage') },
  { path: '/workshop', name: 'Workshop', group: 'Learn', icon: GraduationCap, load: () => import('./workshop/WorkshopPage') },
  { path: '/workshop/:place', name: 'Chapter', group: 'Learn', load: () => import('./workshop/WorkshopPage') },
]
