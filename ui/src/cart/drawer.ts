import { Observable } from '../lib/observable'

/** Whether the cart's drawer is open. */
export const cartDrawer = new Observable(false)
