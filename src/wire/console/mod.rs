//! What travels between the operators' listener and the console: the live stream, the flow, actors, and lines of the log.
//!
//! | route | shape |
//! | --- | --- |
//! | `GET /admin/live` | `live` |
//! | `GET /admin/flow` | `flow` |
//! | `GET /admin/actors…` | `actor` |
//! | `GET /admin/logs…` | `logs` |

pub mod actor;
pub mod flow;
pub mod live;
pub mod logs;
