//! How often texts have joined, and which fields kept them apart: what never merges is a setting that does nothing.

/// Fields that are told apart; those that come later are not told.
const FIELDS_MAX: usize = 16;

/// Counts since the engine's start.
///
/// ```
/// use spillway_core::joins::Joins;
///
/// let mut joins = Joins::default();
/// joins.prevent("body.channel");
/// assert_eq!(joins.obstacle(), Some("body.channel"), "nothing has ever joined");
/// joins.joined += 1;
/// assert_eq!(joins.obstacle(), None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Joins {
    /// Messages that joined another one's request.
    pub joined: u64,
    /// Fields that kept a message from joining the one before it, with how often: `body.` and the path in the body,
    /// `params` or `headers`.
    pub prevented: Vec<(Box<str>, u64)>,
}

impl Joins {
    /// A field has kept two messages apart.
    pub fn prevent(&mut self, field: &str) {
        if let Some((_, times)) = self.prevented.iter_mut().find(|(known, _)| **known == *field) {
            *times += 1;
        } else if self.prevented.len() < FIELDS_MAX {
            self.prevented.push((field.into(), 1));
        }
    }

    /// The field that does so most often, while nothing has ever joined.
    pub fn obstacle(&self) -> Option<&str> {
        let most = self.prevented.iter().max_by_key(|(_, times)| *times);
        most.filter(|_| self.joined == 0).map(|(field, _)| &**field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_that_prevents_most_is_named_until_something_joins() {
        let mut joins = Joins::default();
        assert_eq!(joins.obstacle(), None);
        for field in ["body.a", "headers", "headers"] {
            joins.prevent(field);
        }
        assert_eq!(joins.obstacle(), Some("headers"));
        (0..100).for_each(|number| joins.prevent(&format!("body.b{number}")));
        assert_eq!(joins.prevented.len(), FIELDS_MAX);
        joins.joined = 1;
        assert_eq!(joins.obstacle(), None);
    }
}
