//! A field of a status that a run sets, removes, or does not change. A type.

/// The new value of an optional field of a status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum NewValue<T> {
    /// The field keeps its value: the run did not get that far.
    #[default]
    Unchanged,
    /// The field gets this value; `None` removes it.
    Set(Option<T>),
}

impl<T: Clone> NewValue<T> {
    /// Changes the field of a status.
    pub fn store(&self, field: &mut Option<T>) {
        if let Self::Set(value) = self {
            field.clone_from(value);
        }
    }
}
