//! The page's WebSocket.

pub mod frame;
