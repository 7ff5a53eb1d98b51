//! One macro: a class's constants as a struct with named fields, filled from
//! the values of `constants/`.

/// Declares the constants of a class: a struct of `f64` and the names in the
/// order of the values. What each means, its bounds and its fit stand in
/// `constants/classes.toml` and `constants/fitted.toml`.
macro_rules! constants {
    ($name:ident: $($field:ident),+ $(,)?) => {
        #[derive(Clone, Copy, Debug)]
        #[allow(dead_code, reason = "host_us, alone_us and call_ms are read by name")]
        pub(crate) struct $name {
            $(pub(crate) $field: f64,)+
        }

        impl $name {
            /// Names in the order of [`Self::read`]'s values.
            pub(crate) const NAMES: &'static [&'static str] =
                &[$(stringify!($field)),+];

            /// The constants from as many values as there are names.
            pub(crate) fn read(values: &[f64]) -> Self {
                let mut next = values.iter().copied();
                let mut take = || next.next().unwrap_or(f64::NAN);
                Self { $($field: take(),)+ }
            }
        }
    };
}

pub(crate) use constants;
