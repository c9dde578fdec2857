//! What is said and done where the API server refuses, on a real one. I/O: processes, network.

#[path = "verdicts/corrections.rs"]
mod corrections;
#[path = "verdicts/renames.rs"]
mod renames;
#[path = "verdicts/replacements.rs"]
mod replacements;
#[path = "verdicts/words.rs"]
mod words;
