import { useQuery } from '@tanstack/react-query'
import { Menu, X } from 'lucide-react'
import { lazy, Suspense, useEffect, useState, type ComponentType, type LazyExoticComponent } from 'react'
import { Link, Route, Switch, useLocation } from 'wouter'

import { Announcer } from '../shell/Announcer'
import { Wordmark } from '../shell/Wordmark'
import { useObservable } from '../lib/observable'
import { ask, queryClient } from './api'
import { Boundary } from './kit/Boundary'
import { PresenceBanner } from './PresenceBanner'
import { GROUPS, PAGES, type Page } from './pages'
import { goneSince, introduced, shownProcess, type Process } from './presence'
import { ProcessNote } from './ProcessNote'
import { TokenForm } from './TokenForm'
import { tokenWanted } from './token'

const views: readonly [Page, LazyExoticComponent<ComponentType>][] = PAGES.map((page) => [page, lazy(page.load)])

/** How often the server is asked who it is: more often while it is gone. */
const EVERY_MS = 5_000
const EVERY_MS_GONE = 1_000

export function Shell() {
  const gone = useObservable(goneSince)
  useQuery({
    queryKey: ['admin', '/admin/console'],
    queryFn: async ({ signal }) => {
      const process = await ask<Process>('/admin/console', { signal, timeoutMs: 5_000 })
      // What is shown of the previous process is out of date at once.
      if (introduced(process)) void queryClient.invalidateQueries({ predicate: ({ queryKey }) => queryKey[1] !== '/admin/console' })
      return process
    },
    refetchInterval: gone === null ? EVERY_MS : EVERY_MS_GONE,
  })
  useEffect(() => {
    if (gone === null) void queryClient.invalidateQueries({ predicate: ({ state }) => state.status === 'error' })
  }, [gone])
  const wanted = useObservable(tokenWanted)
  return (
    <div className="min-h-dvh lg:grid lg:grid-cols-[15rem_minmax(0,1fr)]">
      <a href="#main" className="btn-main sr-only focus:not-sr-only focus:fixed focus:left-3 focus:top-3 focus:z-50">
        Skip to content
      </a>
      <Navigation />
      <div className="min-w-0">
        <PresenceBanner />
        <main id="main" tabIndex={-1} className="mx-auto w-full max-w-[96rem] px-4 pb-16 pt-5 sm:px-6">
          <Boundary key={useLocation()[0]}>
            <Suspense fallback={<div className="min-h-dvh" aria-busy="true" />}>
              {wanted ? (
                <TokenForm />
              ) : (
                <Switch>
                  {views.map(([page, View]) => (
                    <Route key={page.path} path={page.path}>
                      <View />
                    </Route>
                  ))}
                  <Route>
                    <Nowhere />
                  </Route>
                </Switch>
              )}
            </Suspense>
          </Boundary>
        </main>
      </div>
      <Announcer />
    </div>
  )
}

function Nowhere() {
  useEffect(() => {
    document.title = 'No such page · KartShoppe operators'
  }, [])
  return (
    <div className="py-10">
      <h1 className="text-2xl font-bold">There is no such page</h1>
      <p className="mt-2 text-soft">
        The console has nothing at this address.{' '}
        <Link href="/" className="link">
          Go to the overview
        </Link>
        .
      </p>
    </div>
  )
}

/** At the side where there is room, below a button elsewhere. */
function Navigation() {
  const [path] = useLocation()
  const [openAt, setOpenAt] = useState<string | null>(null)
  const open = openAt === path
  const process = useObservable(shownProcess)
  return (
    <header className="sticky top-0 z-20 border-b border-line bg-tile lg:h-dvh lg:overflow-y-auto lg:border-b-0 lg:border-r">
      <div className="flex min-h-14 items-center justify-between gap-3 px-4 lg:pt-3">
        <Link href="/" className="flex min-h-11 items-center gap-2" aria-label="KartShoppe operators, overview">
          <Wordmark />
          <span className="text-base text-soft lg:hidden">operators</span>
        </Link>
        <button type="button" className="act lg:hidden" aria-expanded={open} aria-controls="navigation" onClick={() => setOpenAt(open ? null : path)}>
          {open ? <X size={18} aria-hidden /> : <Menu size={18} aria-hidden />}
          Menu
        </button>
      </div>
      <nav id="navigation" aria-label="Console" className={`px-3 pb-4 lg:block ${open ? '' : 'max-lg:hidden'}`}>
        {GROUPS.map((group) => {
          const pages = PAGES.filter((page) => page.group === group && page.icon)
          if (pages.length === 0) return null
          return (
            <div key={group} className="mt-3">
              <h2 className="px-2.5 pb-1 text-sm text-soft">{group}</h2>
              <ul className="max-lg:grid max-lg:grid-cols-2">
                {pages.map((page) => (
                  <NavItem key={page.path} page={page} isHere={path === page.path || (page.path !== '/' && path.startsWith(`${page.path}/`))} />
                ))}
              </ul>
            </div>
          )
        })}
        {process && <ProcessNote process={process} />}
      </nav>
    </header>
  )
}

function NavItem({ page: { path, name, icon: Icon }, isHere }: { page: Page; isHere: boolean }) {
  return (
    <li>
      <Link href={path} aria-current={isHere ? 'page' : undefined} className="relative flex min-h-9 items-center gap-2.5 rounded-lg px-2.5 hover:bg-well aria-[current=page]:bg-well aria-[current=page]:font-semibold pointer-coarse:min-h-11">
        {isHere && <span className="absolute inset-y-2 left-0 w-1 rounded-full bg-label" aria-hidden />}
        {Icon && <Icon size={17} aria-hidden className={isHere ? 'text-leaf' : 'text-soft'} />}
        {name}
      </Link>
    </li>
  )
}
