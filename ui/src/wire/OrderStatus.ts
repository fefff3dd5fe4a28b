export type OrderStatus = 'PENDING' | 'CONFIRMED' | 'BACKORDERED' | 'REJECTED'
