//! Parallax shows what a CT classifier looks at, by showing the scan that it would have called otherwise.
//!
//! ```text
//! file -> io -> Scan -> preprocess -> Prepared -> latent_shift -> Counterfactual -> frame -> screen | files
//!                                                    ^                               gpu     export
//!                                 weights -> models -+
//! ```
//!
//! One path, [`pipeline`], serves both front ends, the window ([`ui`]) and the command line ([`cli`]).
//! A network is a [`graph`] of operations that an architecture of [`models`] builds; no tensor leaves [`latent_shift`]. A module uses only
//! modules of layers above its own, which `tests/suite/house/architecture.rs` holds. `docs/developing.md` is a first day with the source.
//!
//! `examples/explain.rs` uses the library without window and command line. The rooms, by layer:
//!
//! | layer | modules |
//! |---|---|
//! | 1 | [`files`] files that come from anywhere, [`machine`] what the program runs on, [`job`] work off the UI thread, [`random`] numbers by seed, [`reach`] connections to other machines, [`volume`] numbers in patient space, [`nn`] arithmetic and the device |
//! | 2 | [`insertion`] findings drawn into real scans, [`io`] scans, [`graph`] networks as data and their gradient, [`preprocess`] to the networks and back, [`weights`] checkpoints, [`catalogue`] the published networks |
//! | 3 | [`exchange`] networks in files of other programs |
//! | 4 | [`models`] the networks and their cards |
//! | 5 | [`latent_shift`] the method |
//! | 6 | [`pipeline`] open, prepare, predict, explain, [`quality`] what a counterfactual is worth |
//! | 7 | [`frame`] what a picture shows, [`audit`] how true explanations are, [`demo`] the built-in scan and networks, [`fit`] whether networks suit a scan, [`stability`] how sure a counterfactual is |
//! | 8 | [`export`] files, [`gpu`] the same pictures on the screen |
//! | 9 | [`pacs`] scans from a hospital's archive, and results back |
//! | 10 | [`settings`] what the user chose, between runs, [`study`] what readers are shown and asked, and what they answer, [`cohort`] many scans explained alike |
//! | 11 | [`session`] the window's state, without a window |
//! | 12 | [`cli`] the commands, [`ui`] the window |
//!
//! # Words
//!
//! | word | meaning |
//! |---|---|
//! | scan | what was opened, on its own grid, in Hounsfield units (HU) |
//! | source | a hospital's archive of images (PACS) under a name, with how it is reached |
//! | instance | one file of a series in an archive: a slice, or an object of several |
//! | recipe | how a scan is prepared for a network: orientation, spacing, size, range of HU |
//! | stack | a prepared volume as the networks take it: `[slices, 1, height, width]`, values `0..=1` |
//! | fit | what is known of networks and a scan before anything is computed: what the networks see, in which HU, at what cost |
//! | adapter | the operations from a stack that was prepared for one network to the tensor that another was trained on |
//! | card | the text file beside a checkpoint that says what it is and what it was fed |
//! | latents | an encoded stack |
//! | score | the one number that an objective gives a stack |
//! | embedding | the vector that a network without a head gives a scan |
//! | deviation | the standard deviation of a latent, as the autoencoder's posterior has it |
//! | slab | the slices that may change |
//! | lambda | the signed length of the path through the latents, or how many deviations of them it is long |
//! | goal | the score that a search takes the scan to |
//! | step | the stack at one lambda |
//! | reconstruction | the step at lambda 0 |
//! | counterfactual | the step at the end that was chosen |
//! | sketch | the latest step of a run that has not ended, as the window shows it |
//! | hanging | plane, window, panes and colours under one name, as radiologists call a hanging protocol |
//! | view | how the panes are looked at now: place, zoom, window, lambda, panes and colours |
//! | cohort, case | many scans that are explained alike, and one of them |
//! | epilogue | what is done to an operation's outputs while the caches hold them |
//! | mask | which outputs a ReLU let through |
//! | plan | a graph for inputs of one size: shapes, lifetimes of values, bytes |
//! | tape | what a forward pass recorded for its vector-Jacobian product (vjp) |
//! | segment | operations whose saved tensors stand in memory together; earlier ones are computed again |
//! | band | some planes of a volume that a part of a network is computed for at a time |

pub mod audit;
pub mod catalogue;
pub mod cli;
pub mod cohort;
pub mod demo;
pub mod exchange;
pub mod export;
pub mod files;
pub mod fit;
pub mod frame;
pub mod gpu;
pub mod graph;
pub mod insertion;
pub mod io;
pub mod job;
pub mod latent_shift;
pub mod machine;
pub mod models;
pub mod nn;
pub mod pacs;
pub mod pipeline;
pub mod preprocess;
pub mod quality;
pub mod random;
pub mod reach;
pub mod session;
pub mod settings;
pub mod stability;
pub mod study;
pub mod ui;
pub mod volume;
pub mod weights;
