"""Writes the small files beside it: `python3 make.py`, with numpy 2.

Python 2 is not needed: what its cPickle writes is put together by hand, opcode
by opcode, after the documentation in pickletools.py. None of these files is a
part of a real data set.
"""

import os
import pickle
import struct

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
CELLS = [("BPSK", -2), ("BPSK", 0), ("QAM16", -2), ("QAM16", 0)]


def write(name, content):
    path = os.path.join(HERE, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)


def cell(k):
    """[2 snapshots, 2, 4 samples]: 100 k, then counting by quarters."""
    values = 100 * k + np.arange(16) / 4 + 0.25
    return values.astype("<f4").reshape(2, 2, 4)


def radioml():
    return {key: cell(k) for k, key in enumerate(CELLS)}


def python2_text():
    """Protocol 0, as the published RML2016.10a was written."""

    def quoted(data):
        escape = {0x0A: "\\n", 0x0D: "\\r", 0x09: "\\t", 0x5C: "\\\\", 0x27: "\\'"}
        plain = lambda b: chr(b) if 32 <= b < 127 else "\\x%02x" % b
        return "S'" + "".join(escape.get(b) or plain(b) for b in data) + "'\n"

    out = "(dp1\n"
    for k, (name, snr) in enumerate(CELLS):
        p = 10 * k
        out += "(" + quoted(name.encode()) + f"p{p + 2}\nI{snr}\ntp{p + 3}\n"
        out += "cnumpy.core.multiarray\n_reconstruct\n"
        out += "(cnumpy\nndarray\n(I0\ntS'b'\ntR"
        out += "(I1\n(I2\nI2\nI4\nt"
        out += "cnumpy\ndtype\n(S'f4'\nI0\nI1\ntR"
        out += "(I3\nS'<'\nNNNI-1\nI-1\nI0\ntb"
        out += "I00\n" + quoted(cell(k).tobytes()) + "tb"
        out += "s"
    return (out + ".").encode("latin1")


def python2_binary():
    """Protocol 2 of Python 2: strings are SHORT_BINSTRING and BINSTRING."""

    def short(data):
        return b"U" + bytes([len(data)]) + data

    out = b"\x80\x02}q\x01("
    for k, (name, snr) in enumerate(CELLS):
        data = cell(k).tobytes()
        out += short(name.encode()) + b"J" + struct.pack("<i", snr) + b"\x86"
        if k == 0:
            out += b"cnumpy.core.multiarray\n_reconstruct\nq\x02"
            out += b"cnumpy\nndarray\nq\x03"
        else:
            out += b"h\x02h\x03"
        out += b"K\x00\x85" + short(b"b") + b"\x87R"
        out += b"(K\x01K\x02K\x02K\x04\x87"
        if k == 0:
            out += b"cnumpy\ndtype\n" + short(b"f4") + b"K\x00K\x01\x87R"
            out += b"(K\x03" + short(b"<") + b"NNN"
            out += b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tbq\x04"
        else:
            out += b"h\x04"
        out += b"\x89T" + struct.pack("<i", len(data)) + data + b"tb"
    return out + b"u."


def main():
    for protocol in (0, 1, 2, 3, 4, 5):
        content = pickle.dumps(radioml(), protocol=protocol)
        write(f"radioml_p{protocol}.pkl", content)
    write("radioml_py2_p0.dat", python2_text())
    write("radioml_py2_p2.pkl", python2_binary())

    unknown = {("QPKS", 0): cell(0)}
    write("radioml_unknown_name.pkl", pickle.dumps(unknown, protocol=2))

    # The same [3, 4] numbers in every layout.
    grid = np.arange(12).reshape(3, 4) - 2
    for kind in ("<f8", ">f8", "<f4", ">f4", "<f2", ">i2", "<i4", ">i8", "i1"):
        name = kind.replace("<", "le_").replace(">", "be_")
        np.save(os.path.join(HERE, f"grid_{name}.npy"), grid.astype(kind))
    fortran = np.asfortranarray(grid.astype("<f8"))
    np.save(os.path.join(HERE, "grid_fortran.npy"), fortran)
    for version in ((2, 0), (3, 0)):
        path = os.path.join(HERE, f"grid_v{version[0]}.npy")
        with open(path, "wb") as file:
            np.lib.format.write_array(file, grid.astype("u1"), version)
    write("grid_fortran.pkl", pickle.dumps(fortran, protocol=2))
    write("grid_fortran_p5.pkl", pickle.dumps(fortran, protocol=5))
    write("grid_big_endian.pkl", pickle.dumps(grid.astype(">i2"), protocol=4))
    objects = np.array([None, {}], dtype=object)
    write("objects.pkl", pickle.dumps(objects, protocol=4))

    write("evil_reduce.pkl", b"\x80\x02cos\nsystem\nU\x04true\x85R.")
    stack_global = b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93"
    write("evil_stack_global.pkl", stack_global + b"\x8c\x031+1\x85R.")

    # CRAWDAD: a snapshot a cell, of two samples; I is the class from 1, Q the
    # place of the SNR; the second sample is their negative.
    classes = np.arange(15).reshape(15, 1, 1) + np.zeros((15, 21, 1))
    snrs = np.arange(21).reshape(1, 21, 1) + np.zeros((15, 21, 1))
    first = np.stack([classes + 1, snrs], axis=-1)
    data = np.stack([first, -first], axis=-2)
    write("crawdad/data_iq.p", pickle.dumps(data, protocol=3))
    labels = classes.astype("i2")
    write("crawdad/labels.p", pickle.dumps(labels, protocol=3))


main()
