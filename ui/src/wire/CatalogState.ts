export type CatalogState = 'empty' | 'restoring' | 'live'
