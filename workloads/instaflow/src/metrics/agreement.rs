//! The share of captions that pictures keep, by attribute.

use crate::data::Caption;

/// Shares in [0, 1] of pictures that show what was asked; 0 of no picture.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Agreement {
    /// The right shape.
    pub shape: f64,
    /// The right colour.
    pub colour: f64,
    /// The right number of shapes.
    pub count: f64,
    /// The right place.
    pub place: f64,
    /// All four at once.
    pub all: f64,
}

/// How often what was read in pictures is what was asked of them.
///
/// # Panics
/// When there is not one caption read for each asked.
pub fn agreement(read: &[Caption], asked: &[Caption]) -> Agreement {
    assert_eq!(read.len(), asked.len(), "one caption read for each asked");
    let share = |kept: fn(&Caption, &Caption) -> bool| {
        let pairs = read.iter().zip(asked);
        let count = pairs.filter(|(read, asked)| kept(read, asked)).count();
        count as f64 / asked.len().max(1) as f64
    };
    Agreement {
        shape: share(|read, asked| read.shape == asked.shape),
        colour: share(|read, asked| read.colour == asked.colour),
        count: share(|read, asked| read.count == asked.count),
        place: share(|read, asked| read.place == asked.place),
        all: share(|read, asked| read == asked),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_attribute_is_counted_by_itself() {
        let read = |texts: [&str; 4]| {
            texts.map(|text| text.parse::<Caption>().unwrap())
        };
        let asked = read([
            "one red circle at the top",
            "one red circle at the top",
            "two white crosses on the left",
            "three blue squares in the centre",
        ]);
        let found = read([
            "one red circle at the top",
            "two green circles at the top",
            "two white triangles on the left",
            "one blue square on the right",
        ]);
        let expected = Agreement {
            shape: 0.75,
            colour: 0.75,
            count: 0.5,
            place: 0.75,
            all: 0.25,
        };
        assert_eq!(agreement(&found, &asked), expected);
        assert_eq!(agreement(&asked, &asked).all, 1.0);
        assert_eq!(agreement(&[], &[]), Agreement::default());
    }

    #[test]
    #[should_panic(expected = "one caption read for each asked")]
    fn lists_of_different_lengths_are_a_bug() {
        agreement(&Caption::all()[..1], &[]);
    }
}
