//! What can be wrong with a pickle, and where.

/// An error, with the place in the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {offset}: {fault}")]
pub struct PickleError {
    /// Where the opcode begins, bytes from the start.
    pub offset: u64,
    /// What is wrong.
    pub fault: PickleFault,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PickleFault {
    /// It asks for more than data.
    #[error(
        "refused: the pickle asks for `{name}`; only arrays, tuples, lists, \
         dictionaries, numbers and strings are read"
    )]
    Refused {
        /// For what.
        name: String,
    },
    /// The file ends too early, or a length in it is wrong.
    #[error("cut off, or a false length: {needed} bytes needed, {left} left")]
    CutOff {
        /// Bytes needed.
        needed: u64,
        /// Bytes left.
        left: u64,
    },
    /// A byte that is no opcode.
    #[error("unknown opcode {opcode:#04x}; not a pickle, or damaged")]
    UnknownOpcode {
        /// The byte.
        opcode: u8,
    },
    /// A protocol after 5.
    #[error("protocol {protocol}; 0 to 5 are known")]
    Protocol {
        /// Which.
        protocol: u8,
    },
    /// A value is recalled that was never kept.
    #[error("recalls value {key}, which was never kept")]
    Memo {
        /// Its number.
        key: u64,
    },
    /// An opcode without what it works on.
    #[error("damaged: {what}")]
    Damaged {
        /// What is missing or does not fit.
        what: String,
    },
    /// Far more values than such a file has, or bytes kept too often.
    #[error("too many {what}: more than {limit}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// The file could not be read on.
    #[error("{message}")]
    Io {
        /// Why.
        message: String,
    },
}
