export type ShippingAddress = {
  name: string
  street: string
  city: string
  state: string
  zipCode: string
  country: string
}
