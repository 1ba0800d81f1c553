"""Writes GGUF version 3 files, and reads their tensors back: what the exporter, the evaluation and bench/make-model
need of the format and no more.

Layout (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md): magic, version, counts, the keys with typed values,
one entry for each tensor (name, dimensions in reverse order, type, offset), then the tensor data, each aligned to 32.
Little endian. Python int is written as uint32, float as float32; wrap in `Typed` for another type.
"""
import struct
from dataclasses import dataclass

import numpy as np

ALIGNMENT = 32
UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
_FORMATS = {UINT32: "<I", INT32: "<i", FLOAT32: "<f", BOOL: "<?"}
_TENSOR_TYPES = {np.dtype(np.float32): 0, np.dtype(np.float16): 1}


@dataclass
class Typed:
    kind: int
    value: object


def _kind(value):
    for python, kind in ((bool, BOOL), (int, UINT32), (float, FLOAT32), (str, STRING)):
        if isinstance(value, python):
            return kind
    raise TypeError(f"no GGUF type for {value!r}")


def _string(text):
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def _scalar(kind, value):
    return _string(value) if kind == STRING else struct.pack(_FORMATS[kind], value)


def _value(value):
    kind, value = (value.kind, value.value) if isinstance(value, Typed) else (None, value)
    if isinstance(value, (list, tuple)):
        kind = _kind(value[0]) if kind is None else kind
        return struct.pack("<IIQ", ARRAY, kind, len(value)) + b"".join(_scalar(kind, v) for v in value)
    kind = _kind(value) if kind is None else kind
    return struct.pack("<I", kind) + _scalar(kind, value)


def _padding(size):
    return -size % ALIGNMENT


def write(path, keys, tensors):
    """`keys`: a dict in the order to write, None values left out. `tensors`: (name, array) pairs, or (name, (shape,
    dtype, function that makes the array)) for files larger than memory."""
    keys = {k: v for k, v in keys.items() if v is not None}
    shapes = [(name, t[0], np.dtype(t[1])) if isinstance(t, tuple) else (name, t.shape, t.dtype) for name, t in tensors]
    with open(path, "wb") as file:
        file.write(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys)))
        for key, value in keys.items():
            file.write(_string(key) + _value(value))
        offset = 0
        for name, shape, dtype in shapes:
            file.write(_string(name) + struct.pack("<I", len(shape)))
            file.write(b"".join(struct.pack("<Q", n) for n in reversed(shape)))
            file.write(struct.pack("<IQ", _TENSOR_TYPES[dtype], offset))
            size = int(np.prod(shape)) * dtype.itemsize
            offset += size + _padding(size)
        file.write(bytes(_padding(file.tell())))
        for (name, shape, dtype), (_, tensor) in zip(shapes, tensors):
            array = np.ascontiguousarray(tensor[2]() if isinstance(tensor, tuple) else tensor)
            assert array.shape == tuple(shape) and array.dtype == dtype, name
            file.write(array.tobytes())
            file.write(bytes(_padding(array.nbytes)))


class _Reader:
    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = file.read()
        self.at = 0

    def take(self, format_):
        value, = struct.unpack_from(format_, self.data, self.at)
        self.at += struct.calcsize(format_)
        return value

    def string(self):
        length = self.take("<Q")
        self.at += length
        return self.data[self.at - length:self.at].decode()

    def value(self, kind):
        if kind == ARRAY:
            kind, count = self.take("<I"), self.take("<Q")
            return [self.value(kind) for _ in range(count)]
        return self.string() if kind == STRING else self.take(_FORMATS[kind])


def read(path):
    """(keys, {name: array}) of a file that `write` made."""
    reader = _Reader(path)
    assert reader.data[:4] == b"GGUF", path
    reader.at = 8
    tensors, keys = reader.take("<Q"), reader.take("<Q")
    found = {}
    for _ in range(keys):
        key = reader.string()
        found[key] = reader.value(reader.take("<I"))
    entries = []
    for _ in range(tensors):
        name = reader.string()
        shape = [reader.take("<Q") for _ in range(reader.take("<I"))][::-1]
        entries.append((name, shape, {v: k for k, v in _TENSOR_TYPES.items()}[reader.take("<I")], reader.take("<Q")))
    start = reader.at + _padding(reader.at)
    return found, {name: np.frombuffer(reader.data, dtype, int(np.prod(shape)), start + offset).reshape(shape)
                   for name, shape, dtype, offset in entries}
