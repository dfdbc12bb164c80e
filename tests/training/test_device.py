"""What makes training fast is left out, without an error, where it does not exist."""

from __future__ import annotations

import platform
import sys

import pytest

from facelearn.training import device


@pytest.mark.parametrize(("system", "libc"), [("darwin", ""), ("linux", ""), ("linux", "musl")])
def test_the_allocator_is_left_alone_where_it_is_not_glibcs(monkeypatch, system, libc):
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "libc_ver", lambda: (libc, ""))
    monkeypatch.setattr(device.ctypes, "CDLL", lambda *words, **more: pytest.fail("asked for glibc"))
    assert not device.keep_freed_memory()


def test_a_machine_is_described_without_linuxs_files(monkeypatch):
    monkeypatch.setattr("builtins.open", lambda *words, **more: (_ for _ in ()).throw(FileNotFoundError()))
    monkeypatch.setattr(platform, "processor", lambda: "arm")
    assert device.describe_machine()["processor"] == "arm"
