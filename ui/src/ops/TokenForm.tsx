import { useId, useState } from 'react'

import { queryClient } from './api'
import { keepToken, token } from './token'

/** Asks for the token, where the server wants one and the address had none. */
export function TokenForm() {
  const id = useId()
  const [value, setValue] = useState('')
  const [refused] = useState(() => token() !== null)
  return (
    <form
      className="mx-auto mt-10 grid max-w-lg gap-4"
      onSubmit={(event) => {
        event.preventDefault()
        keepToken(value)
        void queryClient.invalidateQueries()
      }}
    >
      <h1 className="text-2xl font-bold">This console needs the operators&rsquo; token</h1>
      <p className="text-soft">
        Open the address that the server printed when it started, or paste what stands in <code className="code">operator.token</code> in its data directory. The token stays in this tab.
      </p>
      <label htmlFor={id} className="font-semibold">
        Token
      </label>
      <input id={id} className="input code" type="password" autoComplete="off" value={value} onChange={({ target }) => setValue(target.value)} aria-describedby={refused ? `${id}-refused` : undefined} aria-invalid={refused} required />
      {refused && (
        <p id={`${id}-refused`} role="alert" className="text-out">
          The server refused that token.
        </p>
      )}
      <button type="submit" className="act-main justify-self-start">
        Use this token
      </button>
    </form>
  )
}
