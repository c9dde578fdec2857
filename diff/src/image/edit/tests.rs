//! Files and what the images want of them.
