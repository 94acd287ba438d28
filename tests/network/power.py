"""A file system whose power can be cut: ext4 on an image, mounted through a loop device.

The kernel keeps what a process has not synced in its own memory, and the backing file holds what
has reached the device. A copy of that file, mounted again, is what a machine finds after its power
came back. Killing processes shows nothing of this, for their writes stay with the kernel. Needs
root, loop devices and ext4.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.network.world import POLL_S, WAIT_S

IMAGE_BYTES = 96 << 20
COMMIT_S = 3_600
"""How often ext4 would sync of itself; far above what a test takes, so that nothing is durable but
what was asked to be."""
COPIES_MAX = 50


class Disk:
    """An image beside its mount point. One file system, or its copy, is mounted at a time."""

    def __init__(self, place: Path) -> None:
        self.image = place / "disk.img"
        self.mounted = place / "mounted"

    def make(self) -> None:
        """An empty file system, mounted."""
        self.image.parent.mkdir(exist_ok=True)
        with self.image.open("wb") as file:
            file.truncate(IMAGE_BYTES)
        command("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", self.image)
        self.mounted.mkdir()
        self._mount()

    def copy(self) -> Path:
        """What the device holds at one instant.

        A copy takes time, so it is read twice: if both are alike, nothing was written meanwhile and
        the first is of one instant. Whoever writes is paused by the caller.
        """
        copies = [self.image.with_name("first"), self.image.with_name("second")]
        shutil.copyfile(self.image, copies[0])
        for _ in range(COPIES_MAX):
            shutil.copyfile(self.image, copies[1])
            if copies[0].read_bytes() == copies[1].read_bytes():
                return copies[0]
            copies.reverse()
        raise AssertionError("the device is never still")

    def replace(self, copy: Path) -> None:
        """Unmounts, and mounts `copy` where this was. Nobody may have files open."""
        self.unmount()
        copy.replace(self.image)
        self._mount()

    def unmount(self) -> None:
        """Waits for processes that are about to end."""
        deadline_s = time.monotonic() + WAIT_S
        while True:
            try:
                command("umount", self.mounted)
            except AssertionError:
                if time.monotonic() >= deadline_s:
                    raise
                time.sleep(POLL_S)
            else:
                return

    def _mount(self) -> None:
        command("mount", "-o", f"loop,commit={COMMIT_S}", self.image, self.mounted)


@contextmanager
def disk(place: Path) -> Iterator[Disk]:
    """A disk in `place`, unmounted at the end."""
    made = Disk(place)
    made.make()
    try:
        yield made
    finally:
        made.unmount()


@contextmanager
def small_memory_disk(place: Path, size_bytes: int) -> Iterator[Path]:
    """A tmpfs of that size, mounted on `place`."""
    place.mkdir(exist_ok=True)
    command("mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "medlock-test", place)
    try:
        yield place
    finally:
        command("umount", place)


def no_mounts(place: Path) -> str | None:
    """Why this machine cannot mount an image in `place`; None where it can."""
    if os.geteuid() != 0:
        return "mounting needs root"
    try:
        with disk(place):
            pass
    except (AssertionError, OSError) as refusal:
        return f"no image can be mounted: {refusal}"
    return None


def command(*words: str | Path) -> None:
    """Runs it; it must succeed."""
    done = subprocess.run(words, capture_output=True, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, words))}: {done.stderr.decode().strip()}"
