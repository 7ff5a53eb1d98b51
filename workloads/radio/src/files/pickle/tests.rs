//! Pickles that are broken, hostile or both.

use super::*;

fn parse(bytes: &[u8]) -> Result<Pickle, PickleError> {
    read(bytes, bytes.len() as u64)
}

fn fault(bytes: &[u8]) -> PickleFault {
    parse(bytes).unwrap_err().fault
}

fn file(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/");
    std::fs::read(format!("{folder}{name}")).unwrap()
}

#[test]
fn calls_are_refused_by_name() {
    let error = parse(&file("evil_reduce.pkl")).unwrap_err().to_string();
    assert_eq!(
        error,
        "byte 2: refused: the pickle asks for `os.system`; only arrays, \
         tuples, lists, dictionaries, numbers and strings are read",
    );
    let error = parse(&file("evil_stack_global.pkl")).unwrap_err();
    assert!(error.to_string().contains("`builtins.eval`"), "{error}");
    let error = parse(&file("objects.pkl")).unwrap_err().to_string();
    assert!(error.contains("element type O8"), "{error}");
}

#[test]
fn every_other_way_to_code_is_refused() {
    for (bytes, name) in [
        (&b"(S'true'\nios\nsystem\n."[..], "os.system"),
        (b"cnumpy\nload\n.", "numpy.load"),
        (b"c__builtin__\neval\n.", "__builtin__.eval"),
        (b"(cnumpy\nndarray\no.", "an object of a class"),
        (b"cnumpy\nndarray\n)\x81.", "an object of a class"),
        (b"\x80\x02\x82\x01.", "an extension code"),
        (b"Pname\n.", "a persistent id"),
        (b"N\x51.", "a persistent id"),
        (b"\x8f.", "a set"),
        (b"\x97.", "a buffer outside the file"),
        (b"}(S'a'\nI1\nub.", "damaged"),
        (b"})b.", "the state of what is no array"),
        (b"cevil\n\x1b[31m\n.", "evil.\\u{1b}[31m"),
    ] {
        let error = parse(bytes).unwrap_err().to_string();
        assert!(error.contains(name), "{name}: {error}");
    }
}

#[test]
fn a_false_length_is_found_before_memory_is_asked_for() {
    for bytes in [
        &b"T\xff\xff\xff\xffabc."[..],
        b"\x8e\xff\xff\xff\xff\xff\xff\xff\xffabc.",
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7fabc.",
        b"\x95\xff\xff\xff\xff\xff\xff\xff\x7fN.",
    ] {
        let fault = fault(bytes);
        assert!(matches!(fault, PickleFault::CutOff { .. }), "{fault}");
    }
    // Made again and again from one text.
    let mut bytes = b"X\x00\x10\x00\x00".to_vec();
    bytes.extend([b'a'; 4096]);
    bytes.extend(b"q\x00X\x06\x00\x00\x00latin1q\x01");
    for _ in 0..5 {
        bytes.extend(b"c_codecs\nencode\nh\x00h\x01\x86R");
    }
    let fault = fault(&bytes);
    assert!(matches!(fault, PickleFault::TooMany { .. }), "{fault}");
}

#[test]
fn damage_is_named_with_its_place() {
    for (bytes, offset, part) in [
        (&b"N\xff."[..], 1, "unknown opcode 0xff"),
        (b"\x80\x09.", 0, "protocol 9"),
        (b"g7\n.", 0, "recalls value 7"),
        (b".", 0, "without its value"),
        (b"Nt.", 1, "without its mark"),
        (b"N(0s.", 3, "without its value"),
        (b"N(a.", 2, "without its value"),
        (b"(Nd.", 2, "a key without a value"),
        (b"Ix\n.", 0, "unreadable number"),
        (b"S'a\n.", 0, "without quotes"),
        (b"S'\\q'\n.", 0, "unknown escape"),
        (b"V\\u12\n.", 0, "unfinished"),
        (b"\x8a\x09123456789.", 0, "9 bytes"),
        (b"X\x01\x00\x00\x00\xff.", 0, "UTF-8"),
        (b"NNR.", 2, "calls None"),
    ] {
        let error = parse(bytes).unwrap_err();
        assert_eq!(error.offset, offset, "{error}");
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
}

#[test]
fn plain_values_are_read() {
    let long = parse(b"\x8a\x02\x00\xff.").unwrap();
    assert_eq!(long.root(), Value::Int(-256));
    assert_eq!(parse(b"L-12L\n.").unwrap().root(), Value::Int(-12));
    assert_eq!(parse(b"I01\n.").unwrap().root(), Value::Bool(true));
    assert_eq!(parse(b"F1.5\n.").unwrap().root(), Value::Float(1.5));
    let text = parse(b"V\xe9\\u00e9\\u20ac\n.").unwrap();
    assert_eq!(text.text(text.root()).unwrap(), "éé€");
    let quoted = parse(b"S\"it's \\x41\\n\"\n.").unwrap();
    assert_eq!(quoted.text(quoted.root()).unwrap(), "it's A\n");
}

#[test]
fn nesting_and_cycles_do_no_harm() {
    let mut bytes = b"N".to_vec();
    bytes.extend([0x85; 200_000]);
    bytes.push(b'.');
    drop(parse(&bytes).unwrap());
    drop(parse(b"]q\x00h\x00a.").unwrap());
    let endless = vec![b'('; 5_000_000];
    assert!(matches!(fault(&endless), PickleFault::TooMany { .. }));
}

#[test]
fn a_pickle_cut_anywhere_is_an_error() {
    for name in [
        "radioml_p0.pkl",
        "radioml_p1.pkl",
        "radioml_p2.pkl",
        "radioml_p3.pkl",
        "radioml_p4.pkl",
        "radioml_p5.pkl",
        "radioml_py2_p0.dat",
        "radioml_py2_p2.pkl",
        "grid_fortran.pkl",
    ] {
        let whole = file(name);
        parse(&whole).unwrap();
        for length in 0..whole.len() {
            let cut = &whole[..length];
            assert!(parse(cut).is_err(), "{name} cut to {length}");
            // And when the file shrinks while it is read.
            let shrunk = read(cut, whole.len() as u64);
            assert!(shrunk.is_err(), "{name} shrunk to {length}");
        }
    }
}

#[test]
fn a_pickle_with_any_byte_changed_does_not_panic() {
    let whole = file("radioml_p2.pkl");
    let mut refused = 0;
    for at in 0..whole.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] ^= flip;
            refused += usize::from(parse(&bytes).is_err());
        }
    }
    // Changes of numbers are not damage; changes of structure are.
    assert!(refused > whole.len() / 2, "{refused}");
}
