//! The kinds of receivers: one file each, that maps a notice to a request. Sending is the same for all of them.
