"""Any order of the store's operations, with several handles, against a model in a few lines."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from mpcc.runtime.store.sealing import StoreKey
from mpcc.runtime.store.store import Session, Store
from tests.runtime.store.conftest import RAM
from tests.runtime.store.stores import PROGRAM, WEIGHTS, code_of, names

payloads = st.lists(st.binary(max_size=40), max_size=4)
ids = st.integers(0, 30).map(lambda number: number.to_bytes(16, "little"))
handles = st.integers(0, 1)


class StoreMachine(RuleBasedStateMachine):
    """`known` are ids in the order added; `unused` maps those that are unused to what they hold."""

    batches = Bundle("batches")

    @initialize(encrypted=st.booleans())
    def create(self, encrypted: bool) -> None:
        self.folder = Path(tempfile.mkdtemp(dir=RAM if RAM.exists() else None))
        self.key = StoreKey(b"k" * 32) if encrypted else None
        Store.create(self.folder, 0, PROGRAM, WEIGHTS, self.key).close()
        self.stores = [self.open(), self.open()]
        self.known: list[bytes] = []
        self.unused: dict[bytes, tuple[bytes, list[bytes], bytes]] = {}
        self.seeds: dict[bytes, bytes] = {}

    def open(self) -> Store:
        return Store(self.folder, 0, PROGRAM, WEIGHTS, self.key)

    @rule(target=batches, handle=handles, batch=st.sampled_from([b"a" * 16, b"b" * 16]), seed=ids)
    def add_batch(self, handle: int, batch: bytes, seed: bytes) -> bytes:
        self.stores[handle].add_batch(batch, seed)
        self.seeds.setdefault(batch, seed)
        return batch

    @rule(handle=handles, batch=batches, session_id=ids, seed=ids, pieces=payloads)
    def add(self, handle: int, batch: bytes, session_id: bytes, seed: bytes, pieces: list[bytes]) -> None:
        length = self.stores[handle].add(batch, session_id, seed, pieces)
        if session_id in self.known:
            assert length is None
            return
        assert length == sum(map(len, pieces))
        self.known.append(session_id)
        self.unused[session_id] = (seed, pieces, self.seeds[batch])

    @rule(handle=handles, session_id=ids)
    def take(self, handle: int, session_id: bytes) -> None:
        if session_id in self.unused:
            self.check(self.stores[handle].take(session_id), session_id)
        else:
            assert code_of(lambda: self.stores[handle].take(session_id)) == "MPC-S009"

    @rule(handle=handles, wanted=st.lists(ids, max_size=5))
    def take_first(self, handle: int, wanted: list[bytes]) -> None:
        session = self.stores[handle].take_first(wanted)
        expected = next((session_id for session_id in wanted if session_id in self.unused), None)
        if session is None:
            assert expected is None
            return
        assert expected is not None
        self.check(session, expected)

    def check(self, session: Session, session_id: bytes) -> None:
        seed, pieces, mask_seed = self.unused.pop(session_id)
        found = (session.id, session.seed, session.weight_mask_seed, bytes(session.payload[:]))
        assert found == (session_id, seed, mask_seed, b"".join(pieces))
        session.close()

    @rule(handle=handles, named=st.lists(ids, max_size=5))
    def discard(self, handle: int, named: list[bytes]) -> None:
        self.stores[handle].discard(named)
        for session_id in named:
            self.unused.pop(session_id, None)

    @rule(handle=handles)
    def reopen(self, handle: int) -> None:
        self.stores[handle].close()
        self.stores[handle] = self.open()

    @rule(name=ids)
    def crash_while_adding(self, name: bytes) -> None:
        """What is left of that is removed by the next who opens the store."""
        if name not in self.unused:
            (self.folder / f"session-{name.hex()}.bin").write_bytes(b"left")
            self.reopen(0)

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "stores"):
            return
        for store in self.stores:
            assert store.unused(100) == [i for i in self.known if i in self.unused]
            assert store.count_unused() == len(self.unused)
            assert store.used(self.known) == [i for i in self.known if i not in self.unused]
        assert names(self.folder) == sorted(f"session-{i.hex()}.bin" for i in self.unused)

    def teardown(self) -> None:
        if hasattr(self, "stores"):
            for store in self.stores:
                store.close()
            shutil.rmtree(self.folder)


TestStore = StoreMachine.TestCase
TestStore.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
