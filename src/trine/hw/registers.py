"""Registers of the unit, as in `rtl/tdpu_regs.rdl`; a test compares them with the C header."""

from __future__ import annotations

from enum import IntEnum, IntFlag

IDENTITY = 0x54445055  # "TDPU"
MAJOR_VERSION = 1


class Register(IntEnum):
    """Byte offsets of the 32-bit registers."""

    ID = 0x00
    VERSION = 0x04
    CAPABILITY = 0x08
    K_MAX = 0x0C
    BUILD = 0x10
    CONTROL = 0x14
    STATUS = 0x18
    RING_BASE = 0x1C
    RING_SIZE = 0x20
    DOORBELL = 0x24
    HEAD = 0x28
    TAIL = 0x2C
    IRQ_STATUS = 0x30
    IRQ_MASK = 0x34
    ERROR = 0x38
    ERROR_ADDRESS = 0x3C
    TIMEOUT = 0x40
    ILLEGAL = 0x44
    STEPS = 0x48
    RUNNING = 0x4C
    STARVED = 0x50
    BLOCKED = 0x54
    BUSY = 0x58


class Control(IntFlag):
    """Bits of CONTROL; all but ENABLE act once."""

    ENABLE = 1
    ABORT = 2
    RESET = 4
    CLEAR_ERROR = 8
    CLEAR_COUNTERS = 16


class State(IntFlag):
    """Bits of STATUS."""

    BUSY = 1
    DRAINING = 2


class Interrupt(IntFlag):
    """Bits of IRQ_STATUS and IRQ_MASK."""

    DONE = 1
    ERROR = 2


class Status(IntEnum):
    """Why a job, or the unit, failed: `status_e` of `tdpu_pkg.sv`."""

    OK = 0x00
    VERSION = 0x01
    OWNER = 0x02
    FLAGS = 0x03
    K = 0x04
    ROWS = 0x05
    VECTORS = 0x06
    WEIGHTS = 0x07
    ACTIVATIONS = 0x08
    RESULTS = 0x09
    REUSE = 0x0A
    AXI_READ = 0x20
    AXI_WRITE = 0x21
    TIMEOUT = 0x22
    RING = 0x30
