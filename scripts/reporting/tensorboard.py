"""Writes TensorBoard event files: records that each hold a tensorflow.Event protocol buffer."""

import socket
import struct
from pathlib import Path

from .runs import Run


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)  # Castagnoli polynomial, reflected
        table.append(byte)
    return table


_CRC = _crc_table()


def masked_crc(data: bytes) -> int:
    """Masked CRC-32C as in TFRecord files: rotated and offset, for data that itself contains checksums."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def record(data: bytes) -> bytes:
    """A TFRecord: length, its checksum, data, its checksum."""
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked_crc(length)) + data + struct.pack("<I", masked_crc(data))


def varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(found) + bytes([value])


def _bytes_field(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def version_event(wall_time: float) -> bytes:
    return b"\x09" + struct.pack("<d", wall_time) + _bytes_field(3, b"brain.Event:2")


def scalar_event(wall_time: float, step: int, tag: str, value: float) -> bytes:
    """Event{wall_time = 1, step = 2, summary = 5: {value = 1: {tag = 1, simple_value = 2}}}."""
    scalar = _bytes_field(1, tag.encode("utf-8", "replace")) + b"\x15" + struct.pack("<f", value)
    when = b"\x09" + struct.pack("<d", wall_time) + b"\x10" + varint(step)
    return when + _bytes_field(5, _bytes_field(1, scalar))


def write_events(run: Run, folder: Path) -> Path:
    """Writes all numbers of metrics.jsonl as "train/loss" etc., and those of results.json at the last step."""
    now = run.start
    events = [version_event(now)]
    for line in run.lines:
        now += line.get("seconds") or 0
        for part, metrics in line.items():
            if isinstance(metrics, dict):
                events += [
                    scalar_event(now, line[run.unit], f"{part}/{name}", value) for name, value in numbers(metrics)
                ]
    for part, metrics in run.results.items():
        if part != "baselines":
            events += [scalar_event(now, run.done, f"final/{part}/{name}", value) for name, value in numbers(metrics)]
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("events.out.tfevents.*.sartor"):  # from earlier calls: TensorBoard would show both
        old.unlink()
    path = folder / f"events.out.tfevents.{int(run.start):010}.{socket.gethostname()}.sartor"
    path.write_bytes(b"".join(record(event) for event in events))
    return path


def numbers(metrics: dict) -> list[tuple[str, float]]:
    return [(name, float(value)) for name, value in metrics.items() if isinstance(value, (int, float))]
