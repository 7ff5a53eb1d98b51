//! The packet types of Bluetooth with their longest payloads.
//!
//! Lengths are worked out from the standard's payload sizes (from memory):
//! bytes of data, 1 or 2 of payload header and 2 of check, coded at 1/3 or
//! 2/3 where the type is, over the bits of a symbol, rounded up.

use super::constants::Transport::{self, Acl, Esco, Sco};

/// Modulation of a payload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Modulation {
    /// 1 Mb/s, as the header.
    Gfsk,
    /// 2 Mb/s: odd eighths of a turn.
    Dqpsk,
    /// 3 Mb/s: any eighth of a turn.
    D8psk,
}

use Modulation::{D8psk, Dqpsk, Gfsk};

/// A packet type.
#[derive(Debug)]
pub(super) struct PacketType {
    pub(super) name: &'static str,
    pub(super) transport: Transport,
    pub(super) modulation: Modulation,
    /// Length of the payload at 1 Msymbol/s.
    pub(super) symbols: i64,
    /// Whether every bit is sent three times.
    pub(super) repeated: bool,
}

const fn packet(
    name: &'static str,
    transport: Transport,
    modulation: Modulation,
    symbols: i64,
) -> PacketType {
    PacketType { name, transport, modulation, symbols, repeated: false }
}

/// All that carry a payload.
pub(super) const PACKETS: [PacketType; 23] = [
    packet("DM1", Acl, Gfsk, 240),
    packet("DH1", Acl, Gfsk, 240),
    packet("DM3", Acl, Gfsk, 1500),
    packet("DH3", Acl, Gfsk, 1496),
    packet("DM5", Acl, Gfsk, 2745),
    packet("DH5", Acl, Gfsk, 2744),
    packet("2-DH1", Acl, Dqpsk, 232),
    packet("2-DH3", Acl, Dqpsk, 1484),
    packet("2-DH5", Acl, Dqpsk, 2732),
    packet("3-DH1", Acl, D8psk, 232),
    packet("3-DH3", Acl, D8psk, 1483),
    packet("3-DH5", Acl, D8psk, 2734),
    PacketType { repeated: true, ..packet("HV1", Sco, Gfsk, 240) },
    packet("HV2", Sco, Gfsk, 240),
    packet("HV3", Sco, Gfsk, 240),
    packet("DV", Sco, Gfsk, 230),
    packet("EV3", Esco, Gfsk, 256),
    packet("EV4", Esco, Gfsk, 1470),
    packet("EV5", Esco, Gfsk, 1456),
    packet("2-EV3", Esco, Dqpsk, 248),
    packet("2-EV5", Esco, Dqpsk, 1448),
    packet("3-EV3", Esco, D8psk, 246),
    packet("3-EV5", Esco, D8psk, 1446),
];
