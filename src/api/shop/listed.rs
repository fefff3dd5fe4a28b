//! Fields of a product that pictures and recommendations need but the read model does not keep separately: parsed from its body.

use serde::Deserialize;

use crate::actors::catalog_view::Entry;

/// Some fields of a product.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Listed {
    pub product_id: String,
    pub name: String,
    pub brand: String,
    pub category: String,
    pub tags: Vec<String>,
}

impl Listed {
    /// The fields of an entry.
    #[must_use]
    pub fn of(entry: &Entry) -> Self {
        // The body is ours: it is always readable, but for a removed product whose text was dropped.
        serde_json::from_slice(entry.body()).unwrap_or_default()
    }
}
