import { Component, type ReactNode } from 'react'

/** Catches what a page throws, so that one broken page leaves header and cart usable. */
export class Mishap extends Component<{ children: ReactNode }, { broken: boolean }> {
  override state = { broken: false }

  static getDerivedStateFromError() {
    return { broken: true }
  }

  override render() {
    if (!this.state.broken) return this.props.children
    return (
      <div className="py-16">
        <h1 className="text-3xl font-bold">This page broke</h1>
        <p className="mt-3 max-w-prose text-soft">That is our fault. Your cart and your orders are kept by the shop.</p>
        <button type="button" className="btn-main mt-6" onClick={() => location.reload()}>
          Load it again
        </button>
      </div>
    )
  }
}
