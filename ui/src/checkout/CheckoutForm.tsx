import { useQuery } from '@tanstack/react-query'
import { useState, type FormEvent } from 'react'

import { statusQuery } from '../api/queries'
import type { CartLine } from '../cart/wishes'
import { announce } from '../lib/announcer'
import { identity } from '../lib/identity'
import type { ShippingAddress } from '../wire'
import { ADDRESS_FIELDS, LONGEST, problemsOf, readAddress } from './address'
import { PAYMENTS } from './payments'
import { Refusal } from './Refusal'
import { rememberDelivery, rememberedDelivery, type Delivery } from './remembered'
import { useCheckout } from './useCheckout'

type Problems = Partial<Record<keyof ShippingAddress, string>>

/** Where the button that places the order finds its form: it stands below the items and their total. */
export const CHECKOUT_FORM = 'checkout'

/** `held`: something about the cart must be settled first. `locked`: an earlier attempt has no answer. */
type Props = { total: number; gone: readonly CartLine[]; held: boolean; locked: boolean }

/** Address, payment, and which way the order takes. */
export function CheckoutForm({ total, gone, held, locked }: Props) {
  const { attempt, place } = useCheckout()
  const [problems, setProblems] = useState<Problems>({})
  // What an unanswered attempt asked for is what the form shows: it is what asking again sends.
  const [begun] = useState<Delivery>(() => ('ask' in attempt ? { address: attempt.ask.body.shippingAddress, paymentMethod: attempt.ask.body.paymentMethod } : rememberedDelivery()))

  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    if (held) return
    const data = new FormData(event.currentTarget)
    const shippingAddress = readAddress(data)
    const found = problemsOf(shippingAddress)
    setProblems(found)
    const first = ADDRESS_FIELDS.find(({ name }) => found[name])
    if (first) {
      event.currentTarget.querySelector<HTMLInputElement>(`[name="${first.name}"]`)?.focus()
      return
    }
    announce('Placing your order')
    place({ ...identity, shippingAddress, paymentMethod: String(data.get('paymentMethod')), useCdc: data.get('useCdc') === 'on', expectedTotal: total })
  }
  return (
    <form id={CHECKOUT_FORM} noValidate onSubmit={submit} onInput={remember} aria-label="Checkout" className="min-w-0">
      {attempt.step === 'refused' && <Refusal problem={attempt.problem} gone={gone} />}
      <fieldset disabled={locked} className="grid min-w-0 gap-8">
        <AddressFields begun={begun.address} problems={problems} />
        <PaymentChoice begun={begun.paymentMethod} />
        <RouteChoice />
      </fieldset>
    </form>
  )
}

function remember(event: FormEvent<HTMLFormElement>): void {
  const data = new FormData(event.currentTarget)
  rememberDelivery({ address: readAddress(data), paymentMethod: String(data.get('paymentMethod')) })
}

function AddressFields({ begun, problems }: { begun: ShippingAddress; problems: Problems }) {
  return (
    <div role="group" aria-labelledby="address" className="grid grid-cols-2 gap-x-4 gap-y-3">
      <h2 id="address" className="col-span-2 text-xl font-bold">
        Delivery address
      </h2>
      {ADDRESS_FIELDS.map(({ name, label, autoComplete, wide }) => (
        <div key={name} className={wide ? 'col-span-2' : 'col-span-2 sm:col-span-1'}>
          <label htmlFor={name} className="mb-1 block font-medium">
            {label}
            {name === 'state' && <span className="font-normal text-soft"> (if any)</span>}
          </label>
          <input
            id={name}
            name={name}
            dir="auto"
            defaultValue={begun[name]}
            autoComplete={autoComplete}
            maxLength={LONGEST}
            required={name !== 'state'}
            aria-invalid={problems[name] ? true : undefined}
            aria-describedby={problems[name] ? `${name}-problem` : undefined}
            className="field"
          />
          {problems[name] && (
            <p id={`${name}-problem`} className="mt-1 text-[0.95rem] font-semibold text-out">
              {problems[name]}
            </p>
          )}
        </div>
      ))}
    </div>
  )
}

function PaymentChoice({ begun }: { begun: string }) {
  return (
    <div role="radiogroup" aria-labelledby="payment">
      <h2 id="payment" className="text-xl font-bold">
        Payment
      </h2>
      <div className="mt-3 grid gap-3 sm:flex sm:flex-wrap">
        {Object.entries(PAYMENTS).map(([value, name]) => (
          <label key={value} className="inline-flex min-h-11 items-center gap-2.5 rounded-lg border border-rim bg-tile px-4 has-checked:border-leaf has-checked:ring-1 has-checked:ring-leaf">
            <input type="radio" name="paymentMethod" value={value} defaultChecked={value === begun} className="size-5 accent-leaf" />
            {name}
          </label>
        ))}
      </div>
      <p className="mt-2 text-[0.95rem] text-soft">This is a demonstration: nothing is charged and no number is asked for.</p>
    </div>
  )
}

function RouteChoice() {
  const { data: status } = useQuery(statusQuery)
  const [checked, setChecked] = useState(false)
  return (
    <div>
      <h2 className="text-xl font-bold">How the order reaches inventory</h2>
      <label className="mt-2 inline-flex min-h-11 items-center gap-2.5">
        <input type="checkbox" name="useCdc" checked={checked} onChange={({ target }) => setChecked(target.checked)} aria-describedby="cdc-help" className="size-5 accent-leaf" />
        Use change data capture
      </label>
      <p id="cdc-help" className="max-w-prose text-[0.95rem] text-soft">
        With it, the order is only written to the database, and the change-data-capture reader passes it on to inventory. Without it, the shop publishes the order itself.
      </p>
      {checked && status && status.cdc !== 'running' && (
        <p className="mt-2 max-w-prose text-[0.95rem] font-semibold text-low">The change-data-capture reader is not running: this order would wait until it is back.</p>
      )}
    </div>
  )
}
