//! What travels between the api and pages: bodies of REST, messages of the socket, and the frames they travel in.
//!
//! | REST | socket, from a page | socket, to a page |
//! | --- | --- | --- |
//! | `cart`, `order`, `recommendation`, `status` | | the same, as frames |
//! | `front`, `history`, `inventory_state`, `problem` | `client_message` | `frame` |
//! | `tracked_event` | `tracked_event` | |
//! | `browser_spans` | | |

pub(crate) mod browser_spans;
pub mod cart;
pub(crate) mod client_message;
pub mod frame;
pub(crate) mod front;
pub mod history;
pub(crate) mod inventory_state;
pub mod order;
#[cfg(test)]
pub(crate) mod page_message;
pub(crate) mod problem;
pub(crate) mod recommendation;
pub mod status;
pub(crate) mod tracked_event;
pub(crate) mod websocket;
