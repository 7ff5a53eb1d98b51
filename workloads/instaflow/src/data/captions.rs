//! Captions: how many shapes of what colour, and where.
//!
//! A caption is six words, such as `two red circles at the top`. A fifth of the
//! 360 is held out by a rule that needs no random numbers: attributes counted
//! from 0, `shape + 2 colour + 3 count + place` is a multiple of 5. For every
//! shape, colour and count exactly one place is then held out, so each value
//! of each attribute stands in both parts, and what is asked of a model is a
//! new combination of things that it has seen.

use std::fmt;
use std::str::FromStr;

use crate::InstaFlowError;

macro_rules! attribute {
    (
        $(#[$about:meta])*
        $name:ident { $($variant:ident = $word:literal,)+ }
    ) => {
        $(#[$about])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
        )]
        pub enum $name {
            $(#[doc = $word] $variant,)+
        }

        impl $name {
            /// Every value, in the order of their indices.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Its word, in the singular.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            /// Its place in [`ALL`](Self::ALL).
            pub const fn index(self) -> usize {
                self as usize
            }
        }
    };
}

attribute! {
    /// What is drawn.
    Shape {
        Circle = "circle",
        Square = "square",
        Triangle = "triangle",
        Cross = "cross",
    }
}

attribute! {
    /// In which colour.
    Colour {
        Red = "red",
        Green = "green",
        Blue = "blue",
        Yellow = "yellow",
        White = "white",
        Magenta = "magenta",
    }
}

attribute! {
    /// Where in the picture.
    Place {
        Left = "left",
        Right = "right",
        Top = "top",
        Bottom = "bottom",
        Centre = "centre",
    }
}

impl Shape {
    fn plural(self) -> &'static str {
        match self {
            Self::Circle => "circles",
            Self::Square => "squares",
            Self::Triangle => "triangles",
            Self::Cross => "crosses",
        }
    }

    /// The word after a count.
    fn counted(self, count: u8) -> &'static str {
        if count == 1 { self.word() } else { self.plural() }
    }
}

impl Place {
    fn phrase(self) -> &'static str {
        match self {
            Self::Left => "on the left",
            Self::Right => "on the right",
            Self::Top => "at the top",
            Self::Bottom => "at the bottom",
            Self::Centre => "in the centre",
        }
    }
}

/// Words of the counts 1, 2 and 3.
const NUMBERS: [&str; 3] = ["one", "two", "three"];

/// The parts of all captions: a fifth is never trained on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// What is trained on.
    Train,
    /// What is judged on.
    HeldOut,
}

/// What a picture shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Caption {
    /// What is drawn.
    pub shape: Shape,
    /// In which colour.
    pub colour: Colour,
    /// How many: 1, 2 or 3.
    pub count: u8,
    /// Where.
    pub place: Place,
}

impl Caption {
    /// How many there are.
    pub const COUNT: usize =
        Shape::ALL.len() * Colour::ALL.len() * NUMBERS.len() * Place::ALL.len();

    /// All 360, in the order of their indices.
    pub fn all() -> Vec<Self> {
        let mut all = Vec::with_capacity(Self::COUNT);
        for &shape in Shape::ALL {
            for &colour in Colour::ALL {
                for count in 1..=NUMBERS.len() as u8 {
                    for &place in Place::ALL {
                        all.push(Self { shape, colour, count, place });
                    }
                }
            }
        }
        all
    }

    /// Those of a part, in the order of their indices.
    pub fn of_part(part: Part) -> Vec<Self> {
        let mut captions = Self::all();
        captions.retain(|caption| caption.part() == part);
        captions
    }

    /// Its place in [`all`](Self::all).
    ///
    /// # Panics
    /// When the count is not 1, 2 or 3.
    pub fn index(self) -> usize {
        let count = self.count_index();
        let colour = self.shape.index() * Colour::ALL.len();
        let counted = (colour + self.colour.index()) * NUMBERS.len() + count;
        counted * Place::ALL.len() + self.place.index()
    }

    /// Whether it is of the fifth that is never trained on.
    ///
    /// # Panics
    /// As [`index`](Self::index).
    pub fn held_out(self) -> bool {
        let sum = self.shape.index()
            + 2 * self.colour.index()
            + 3 * self.count_index()
            + self.place.index();
        sum.is_multiple_of(5)
    }

    /// The part that it is of.
    ///
    /// # Panics
    /// As [`index`](Self::index).
    pub fn part(self) -> Part {
        if self.held_out() { Part::HeldOut } else { Part::Train }
    }

    fn count_index(self) -> usize {
        assert!(
            (1..=3).contains(&self.count),
            "a caption counts 1, 2 or 3, not {}",
            self.count
        );
        usize::from(self.count) - 1
    }
}

impl fmt::Display for Caption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = usize::from(self.count)
            .checked_sub(1)
            .and_then(|place| NUMBERS.get(place))
            .unwrap_or(&"uncounted");
        write!(
            f,
            "{number} {} {} {}",
            self.colour.word(),
            self.shape.counted(self.count),
            self.place.phrase()
        )
    }
}

impl FromStr for Caption {
    type Err = InstaFlowError;

    /// Reads a caption as [`Display`](fmt::Display) writes it; capitals and
    /// spaces between words do not matter.
    fn from_str(text: &str) -> Result<Self, InstaFlowError> {
        read(text).map_err(|why| InstaFlowError::Caption {
            caption: text.to_owned(),
            why,
        })
    }
}

fn read(text: &str) -> Result<Caption, String> {
    let lower = text.to_lowercase();
    let words: Vec<&str> = lower.split_whitespace().collect();
    let &[number, colour, shape, before, article, place] = words.as_slice()
    else {
        return Err(format!(
            "has {} words; expected 6, as in `two red circles at the top`",
            words.len()
        ));
    };
    let count = 1 + among("count", number, NUMBERS)? as u8;
    let colours = Colour::ALL.iter().map(|colour| colour.word());
    let colour = Colour::ALL[among("colour", colour, colours)?];
    let shapes = Shape::ALL.iter().map(|shape| shape.counted(count));
    let shape = Shape::ALL[among("shape", shape, shapes)?];
    let places = Place::ALL.iter().map(|place| place.word());
    let place = Place::ALL[among("place", place, places)?];
    let found = format!("{before} {article} {}", place.word());
    if found != place.phrase() {
        return Err(format!("expected `{}`, not `{found}`", place.phrase()));
    }
    Ok(Caption { shape, colour, count, place })
}

/// The place of a word among the lawful ones.
fn among(
    what: &str,
    word: &str,
    lawful: impl IntoIterator<Item = &'static str>,
) -> Result<usize, String> {
    let lawful: Vec<&str> = lawful.into_iter().collect();
    if let Some(place) = lawful.iter().position(|&found| found == word) {
        return Ok(place);
    }
    let nearest = assay_schema::nearest(word, lawful.iter().copied());
    Err(format!(
        "`{word}` is no {what} here, nearest valid: `{}`; expected {}",
        nearest.unwrap_or_default(),
        lawful.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_caption_has_an_index_and_is_read_as_it_is_written() {
        let all = Caption::all();
        assert_eq!(all.len(), 360);
        assert_eq!(Caption::COUNT, 360);
        let texts: BTreeSet<String> =
            all.iter().map(Caption::to_string).collect();
        assert_eq!(texts.len(), 360);
        for (place, &caption) in all.iter().enumerate() {
            assert_eq!(caption.index(), place);
            let text = caption.to_string();
            assert_eq!(text.parse::<Caption>().unwrap(), caption);
            let shouted = format!("  {} ", text.to_uppercase());
            assert_eq!(shouted.parse::<Caption>().unwrap(), caption);
        }
        let caption = Caption {
            shape: Shape::Cross,
            colour: Colour::Magenta,
            count: 2,
            place: Place::Centre,
        };
        let text = caption.to_string();
        assert_eq!(text, "two magenta crosses in the centre");
    }

    #[test]
    fn a_fifth_is_held_out_and_both_parts_have_every_value() {
        let train = Caption::of_part(Part::Train);
        let held_out = Caption::of_part(Part::HeldOut);
        assert_eq!((train.len(), held_out.len()), (288, 72));
        assert!(held_out.iter().all(|caption| !train.contains(caption)));
        for part in [&train, &held_out] {
            let values = |of: fn(&Caption) -> usize| {
                part.iter().map(of).collect::<BTreeSet<_>>().len()
            };
            assert_eq!(values(|c| c.shape.index()), 4);
            assert_eq!(values(|c| c.colour.index()), 6);
            assert_eq!(values(|c| c.count.into()), 3);
            assert_eq!(values(|c| c.place.index()), 5);
        }
        // Of every shape, colour and count one place is left out.
        let triples: BTreeSet<_> =
            held_out.iter().map(|c| (c.shape, c.colour, c.count)).collect();
        assert_eq!(triples.len(), 72);
    }

    #[test]
    fn a_caption_that_cannot_be_read_says_what_would_do() {
        let why = |text: &str| match text.parse::<Caption>() {
            Err(InstaFlowError::Caption { caption, why }) => {
                assert_eq!(caption, text);
                why
            }
            other => panic!("{other:?}"),
        };
        assert!(why("").contains("0 words"));
        assert!(why("two red circles").contains("3 words"));
        let why_of_colour = why("two rde circles at the top");
        assert!(why_of_colour.contains("`rde` is no colour"));
        assert!(why_of_colour.contains("nearest valid: `red`"));
        assert!(why("two red circle at the top").contains("`circles`"));
        assert!(why("four red circles at the top").contains("no count"));
        let why_of_place = why("two red circles in the top");
        assert!(why_of_place.contains("expected `at the top`"));
        assert!(why("one red circle in the center").contains("`centre`"));
    }

    #[test]
    #[should_panic(expected = "counts 1, 2 or 3, not 4")]
    fn a_count_of_four_is_a_bug() {
        let caption = Caption {
            shape: Shape::Circle,
            colour: Colour::Red,
            count: 4,
            place: Place::Top,
        };
        caption.index();
    }
}
