//! What shoppers ask for over REST, one file per resource.

pub mod picture;
