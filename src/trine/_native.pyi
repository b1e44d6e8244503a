"""The native extension: what this machine can do, measured.

Arguments out of range and unknown or unusable instruction sets raise ValueError with the legal
values; a buffer that does not fit raises MemoryError. Every call releases the GIL.
"""

COMPILER: str
"""The C++ compiler of this build, for example "GNU 12.2.0"."""

READ_BLOCK: int
"""`bytes_per_thread` of `probe_read` is a multiple of this many bytes."""

READ_PATTERNS: int
"""Pass i of a read probe walks the buffer by pattern i % READ_PATTERNS; the best one counts."""

FILL_FACTOR: int
"""64-bit word i of a read probe's buffer holds (i + 1) * FILL_FACTOR modulo 2**64."""

class Level:
    """One instruction set.

    compiled: this build contains it. claimed: the CPU and the operating system say they have it.
    proved: its self-test ran here with the right results; never tried unless claimed.
    usable: all three.
    """

    @property
    def name(self) -> str: ...
    @property
    def compiled(self) -> bool: ...
    @property
    def claimed(self) -> bool: ...
    @property
    def proved(self) -> bool: ...
    @property
    def usable(self) -> bool: ...

class Probe:
    """One measurement.

    seconds: of each pass, from the first thread's start to the last one's end (steady clock).
    work: bytes, or OPs (2 per multiply-add), of one pass over all threads.
    checksum: over all passes, so that a caller can check that all work was done.
    """

    @property
    def isa(self) -> str: ...
    @property
    def threads(self) -> int: ...
    @property
    def seconds(self) -> list[float]: ...
    @property
    def work(self) -> int: ...
    @property
    def checksum(self) -> int: ...

def levels() -> list[Level]:
    """All instruction sets, slowest first; the self-tests run at the first call."""

def prove(isa: str) -> bool:
    """Run one self-test, claimed or not; an illegal instruction gives False, not a crash."""

def probe_read(isa: str, threads: int, bytes_per_thread: int, sweeps: int, passes: int) -> Probe:
    """Read a buffer, each thread its own slice, `sweeps` times a pass.

    The checksum is the sum of all 64-bit words read, modulo 2**64.
    """

def probe_int8(isa: str, threads: int, steps: int, passes: int) -> Probe:
    """Register-resident int8 multiply-adds into int32; at most 2**24 steps a pass.

    The four operand pairs are (1, -5), (2, 6), (3, -7), (4, 8), over and over; the checksum is the
    sum of all products.
    """

def probe_fp32(isa: str, threads: int, steps: int, passes: int) -> Probe:
    """Register-resident float32 multiply-adds; at most 2**24 steps a pass.

    All operands are 1, so the checksum is the number of multiply-adds.
    """
