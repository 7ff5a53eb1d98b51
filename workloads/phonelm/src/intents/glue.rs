//! Tokens of glue and of marks, by what they write.

/// Nothing: fills rows up on the right.
pub(crate) const PAD: u32 = 0;
/// The end of an answer or of a document.
pub(crate) const END: u32 = 1;
/// Before a request, or a question about it.
pub(crate) const ASK: u32 = 2;
/// Before an answer.
pub(crate) const ANSWER: u32 = 3;
/// Before a tool's name.
pub(crate) const OPEN: u32 = 4;
/// Between a tool's name and its first parameter's.
pub(crate) const FIRST: u32 = 5;
/// After the name of a tool without arguments.
pub(crate) const NONE: u32 = 6;
/// Between a name and a string.
pub(crate) const TEXT: u32 = 7;
/// Between a name and a number or a truth.
pub(crate) const BARE: u32 = 8;
/// Between a name and a list of strings.
pub(crate) const ITEMS: u32 = 9;
/// After a string, before the next name.
pub(crate) const NEXT: u32 = 10;
/// After the last string.
pub(crate) const CLOSE: u32 = 11;
/// After a number or a truth, before the next name.
pub(crate) const BARE_NEXT: u32 = 12;
/// After the last number or truth.
pub(crate) const BARE_CLOSE: u32 = 13;
/// Between two strings of a list.
pub(crate) const ITEM: u32 = 14;
/// After a list, before the next name.
pub(crate) const ITEMS_NEXT: u32 = 15;
/// After the last list.
pub(crate) const ITEMS_CLOSE: u32 = 16;
/// Between two choices.
pub(crate) const BAR: u32 = 17;
/// After the type of a parameter that may be left out.
pub(crate) const OPTIONAL: u32 = 18;
/// Before a word that is spelled.
pub(crate) const SPELL: u32 = 19;
/// A colon.
pub(crate) const COLON: u32 = 20;
/// A comma.
pub(crate) const COMMA: u32 = 21;
/// A full stop.
pub(crate) const STOP: u32 = 22;
/// A question mark.
pub(crate) const QUESTION: u32 = 23;
/// An exclamation mark.
pub(crate) const EXCLAMATION: u32 = 24;

/// What each of them writes.
pub(crate) const TEXTS: [&str; 25] = [
    "",
    "\n",
    "\n? ",
    "\n= ",
    "{\"name\":\"",
    "\",\"arguments\":{\"",
    "\",\"arguments\":{}}",
    "\":\"",
    "\":",
    "\":[\"",
    "\",\"",
    "\"}}",
    ",\"",
    "}}",
    "\",\"",
    "\"],\"",
    "\"]}}",
    "|",
    "?",
    "",
    ":",
    ",",
    ".",
    "?",
    "!",
];
