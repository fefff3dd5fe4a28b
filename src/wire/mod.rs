//! What other programs see: topics, headers and JSON shapes, and their conversions from and to the domain.
//!
//! One file per shape. Readers ignore fields they do not know; writers never drop or rename a contract field. The shapes of REST
//! and WebSocket derive `ts_rs::TS`, so that the page's types are generated from these (by the test `typescript`).
//!
//! | on topics | between page and api |
//! | --- | --- |
//! | `product_updates` in, `product_record` out: `product`, `state_header` | `product`, `inventory_state`, `history`, `front` |
//! | `order_event` in, `inventory_event` and `alert_event` out | `cart`, `order`, `problem`, `status`, `recommendation` |
//! | `dead_letter`, `cdc_position` | `tracked_event`, `client_message` in, `frame` out |
//! | `envelope` | `envelope` |

pub mod headers;
pub mod topics;

pub mod alert_event;
pub mod cart;
pub mod cdc_position;
pub mod client_message;
pub mod dead_letter;
pub mod envelope;
pub mod frame;
pub mod front;
pub mod history;
pub mod invalid;
pub mod inventory_event;
pub mod inventory_state;
mod json;
pub mod money;
pub mod order;
pub mod order_event;
pub mod output;
pub mod problem;
pub mod product;
pub mod product_record;
pub mod product_updates;
pub mod recommendation;
pub mod record;
pub mod state_header;
pub mod status;
pub mod tracked_event;
#[cfg(test)]
mod typescript;

pub use invalid::Invalid;
pub use money::Money;
