//! The house: architecture, pages, hostile input, and programs that are killed.

pub(crate) mod architecture;
pub(crate) mod guide;
pub(crate) mod hostile;
pub(crate) mod killed;
pub(crate) mod messages;
pub(crate) mod mutations;
pub(crate) mod pages;
pub(crate) mod private_files;
pub(crate) mod settings_file;
pub(crate) mod sockets;
