//! The examples work, on fewer images. They are one program, which compiles faster than one for each.
#![forbid(unsafe_code)]
#![allow(dead_code, reason = "the examples' own main functions are not called here")]
#![allow(clippy::duplicate_mod, reason = "each example has the error type that examples share")]

mod auxiliary_heads;
mod blocks;
mod captions;
mod errors;
mod lstm;
mod own_loop;
mod regression;
mod siamese;
mod unet;
