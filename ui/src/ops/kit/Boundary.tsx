import { Component, type ReactNode } from 'react'

/** Catches what a page throws, so that one broken page leaves the navigation usable. */
export class Boundary extends Component<{ children: ReactNode }, { error: unknown }> {
  override state = { error: null }

  static getDerivedStateFromError(error: unknown) {
    return { error: error ?? 'unknown' }
  }

  override render() {
    if (this.state.error === null) return this.props.children
    return (
      <div role="alert" className="py-10">
        <h1 className="text-2xl font-bold">This page broke</h1>
        <p className="mt-2 max-w-prose text-soft">That is a fault of the console; the shop is not affected. It said: {String(this.state.error)}</p>
        <button type="button" className="act-main mt-4" onClick={() => location.reload()}>
          Load it again
        </button>
      </div>
    )
  }
}
