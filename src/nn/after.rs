pub(super) use super::epilogue::Epilogue as After;
