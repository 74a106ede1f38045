//! The log: one frame per admitted request, fsynced before it is acknowledged.

mod frame;

pub use frame::{Frame, FrameKind, Position};
