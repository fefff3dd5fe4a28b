import { useSearchParams } from 'wouter'

/** A parameter of the address, so that what is on the screen can be sent to a colleague. Its fallback is left out of the address. */
export function useParam(name: string, fallback = ''): [string, (value: string) => void] {
  const [params, setParams] = useSearchParams()
  const set = (value: string) =>
    setParams(
      () => {
        // Each hook remembers the address of its last render: several may be set at once.
        const next = new URLSearchParams(location.search)
        if (value === fallback) next.delete(name)
        else next.set(name, value)
        return next
      },
      { replace: true },
    )
  return [params.get(name) ?? fallback, set]
}

/** An address of the console: the path with these parameters, without those that are empty. */
export function linkTo(path: string, params: Record<string, string | number | undefined> = {}): string {
  const query = new URLSearchParams(Object.entries(params).flatMap(([name, value]) => (value === undefined || value === '' ? [] : [[name, String(value)]])))
  return query.size === 0 ? path : `${path}?${query}`
}
