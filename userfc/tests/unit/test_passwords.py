"""Password hashes: new ones, those of the Go system, and the equal cost of every refusal."""

import asyncio
import threading
from collections.abc import AsyncIterator

import bcrypt
import pytest
from pwdlib.hashers.argon2 import Argon2Hasher
from pwdlib.hashers.bcrypt import BcryptHasher

from testkit import eventually
from userfc.errors import PasswordsBusy
from userfc.service.passwords import DUMMY_ARGON2, DUMMY_BCRYPT, LANES, MEMORY_KIB, PASSES, Passwords


class CountingArgon2(Argon2Hasher):
    """Cheap Argon2 that counts its checks."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=64, parallelism=1)
        self.checks = 0

    def verify(self, password: str | bytes, stored: str | bytes) -> bool:
        self.checks += 1
        return super().verify(password, stored)


class CountingBcrypt(BcryptHasher):
    """Bcrypt that counts its checks."""

    def __init__(self) -> None:
        super().__init__()
        self.checks = 0

    def verify(self, password: str | bytes, stored: str | bytes) -> bool:
        self.checks += 1
        return super().verify(password, stored)


@pytest.fixture(scope="module")
async def passwords() -> AsyncIterator[Passwords]:
    """Passwords with the real parameters."""
    real = Passwords()
    yield real
    await real.close()


def go_hash(password: bytes, cost: int = 4) -> str:
    """Hash as Go's x/crypto/bcrypt does."""
    return bcrypt.hashpw(password[:72], bcrypt.gensalt(cost, b"2a")).decode()


async def test_a_new_hash_is_argon2id_with_owasp_parameters_and_its_own_salt(passwords: Passwords) -> None:
    first, second = await passwords.hash("a password"), await passwords.hash("a password")
    assert first.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert first != second
    checked = await passwords.check("a password", first, check_bcrypt=False)
    assert (checked.ok, checked.new_hash) == (True, None)
    assert not (await passwords.check("A password", first, check_bcrypt=False)).ok


async def test_blanks_and_case_and_every_code_point_count(passwords: Passwords) -> None:
    typed = " pässwörd👍" + "x" * 117
    stored = await passwords.hash(typed)
    assert (await passwords.check(typed, stored, check_bcrypt=False)).ok
    for other in (typed.strip(), typed[:-1], typed.lower() + "x", typed.replace("ä", "a\u0308")):
        assert not (await passwords.check(other, stored, check_bcrypt=False)).ok


@pytest.mark.parametrize("length", [8, 71, 72])
async def test_a_go_hash_verifies_and_is_renewed(passwords: Passwords, length: int) -> None:
    typed = ("pä" * 72)[: length - 3] + "end"
    typed = typed if len(typed.encode()) <= 72 else typed.encode()[:72].decode(errors="ignore")
    stored = go_hash(typed.encode())
    assert stored.startswith("$2a$04$")
    checked = await passwords.check(typed, stored, check_bcrypt=True)
    assert checked.ok
    assert checked.new_hash is not None
    assert checked.new_hash.startswith("$argon2id$")
    assert (await passwords.check(typed, checked.new_hash, check_bcrypt=True)).new_hash is None
    wrong = await passwords.check("not it at all", stored, check_bcrypt=True)
    assert (wrong.ok, wrong.new_hash) == (False, None)


async def test_a_go_hash_sees_the_first_72_bytes_only_and_its_renewal_sees_all(passwords: Passwords) -> None:
    typed = "x" * 70 + "ääää"
    checked = await passwords.check(typed, go_hash(typed.encode()), check_bcrypt=True)
    assert checked.ok
    assert (await passwords.check("x" * 70 + "äöü", go_hash(typed.encode()), check_bcrypt=True)).ok
    assert not (await passwords.check("x" * 71 + "ä", go_hash(typed.encode()), check_bcrypt=True)).ok
    assert not (await passwords.check("x" * 70 + "ä", checked.new_hash, check_bcrypt=True)).ok


@pytest.mark.parametrize("stored", ["", "plain text", "$2a$10$short", "$argon2id$v=19$m=19456,t=2,p=1$x$y", "$1$abc$d"])
async def test_a_stored_hash_of_no_known_kind_is_a_wrong_password(passwords: Passwords, stored: str) -> None:
    assert not (await passwords.check("plain text", stored, check_bcrypt=False)).ok


@pytest.mark.parametrize(("check_bcrypt", "bcrypt_checks"), [(False, 0), (True, 1)])
async def test_a_refusal_costs_the_same_checks_for_everybody(check_bcrypt: bool, bcrypt_checks: int) -> None:
    argon2, legacy = CountingArgon2(), CountingBcrypt()
    passwords = Passwords(argon2=argon2, bcrypt=legacy)
    known: list[str | None] = [None, argon2.hash("the password")]
    if check_bcrypt:
        known.append(go_hash(b"the password"))
    for stored in known:
        argon2.checks = legacy.checks = 0
        assert not (await passwords.check("a guess", stored, check_bcrypt=check_bcrypt)).ok
        assert (argon2.checks, legacy.checks) == (1, bcrypt_checks)
    await passwords.close()


def test_nobodys_argon2_hash_costs_what_a_new_hash_costs() -> None:
    hasher = Argon2Hasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)
    assert hasher.identify(DUMMY_ARGON2)
    assert not hasher.check_needs_rehash(DUMMY_ARGON2)


async def test_a_start_hashes_nothing() -> None:
    blocked = Blocked()
    blocked.go.clear()
    async with asyncio.timeout(5):
        await Passwords(argon2=blocked).close()
    assert blocked.hashes == 0


def test_nobodys_bcrypt_hash_costs_what_the_go_systems_hashes_cost() -> None:
    assert BcryptHasher.identify(DUMMY_BCRYPT)
    assert DUMMY_BCRYPT.startswith("$2a$10$")


class Blocked(Argon2Hasher):
    """Argon2 that blocks each hash until `go` is set."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=64, parallelism=1)
        self.go = threading.Event()
        self.go.set()
        self.hashes = 0

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        self.hashes += 1
        self.go.wait(10)
        return super().hash(password, salt=salt)


async def test_more_than_the_queue_holds_are_refused_and_a_caller_who_leaves_makes_no_room() -> None:
    argon2 = Blocked()
    passwords = Passwords(threads=1, queue=1, argon2=argon2)
    argon2.go.clear()
    running = asyncio.create_task(passwords.hash("one"))
    waiting = asyncio.create_task(passwords.hash("two"))
    await asyncio.sleep(0)
    with pytest.raises(PasswordsBusy) as refused:
        await passwords.hash("three")
    assert (refused.value.code, refused.value.retry_after) == ("rate_limited", 1)
    running.cancel()
    await asyncio.sleep(0)
    with pytest.raises(PasswordsBusy):
        await passwords.hash("three")
    argon2.go.set()
    assert await waiting

    async def has_free_slot() -> bool:
        return bool(await passwords.hash("four"))

    assert await eventually(has_free_slot)
    await passwords.close()
