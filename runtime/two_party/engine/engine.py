"""Runs the operations' parts of making correlations in step, over one channel: all their requests of a step
are answered together.

A step takes two rounds of transfers, one more for each further batch of them, and those of the OT extension
where OTs are missing; three more where products are made under encryption, two where matrices are multiplied.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mpcc.runtime.transport.channel import Channel
from mpcc.runtime.two_party.engine.circuits import completed, together
from mpcc.runtime.two_party.engine.requests import Choose, Making, Request
from mpcc.runtime.two_party.engine.steps import Answers, Step
from mpcc.runtime.two_party.engine.transfers import Transfers
from mpcc.runtime.two_party.ot.silent_choice import Extension
from mpcc.runtime.two_party.ot.transfer import TransferReceiver, TransferSender
from mpcc.runtime.two_party.rlwe.matrix_product import Rlwe
from mpcc.runtime.two_party.rlwe.ole import Elementwise


class Engine:
    """One party's side of one connection: its keys and OTs serve all that is run over it.

    `extension_bits`: what making an OT sends, in bits, by which both parties choose.
    """

    def __init__(
        self,
        party: int,
        channel: Channel,
        sender: TransferSender,
        receiver: TransferReceiver,
        extension_bits: float,
    ) -> None:
        self.index = party
        self.extension_bits = extension_bits
        self._transfers = Transfers(party, channel, sender, receiver)
        self._rlwe = Rlwe(party, channel)
        self._elementwise = Elementwise(party, channel, self._choose)

    @classmethod
    def connect(cls, party: int, channel: Channel, extension: Extension) -> Engine:
        """Base OTs of both directions. Raises MPC-R004..R008 and MPC-R090."""
        if party == 0:
            receiver, sender = extension.receiver(channel), extension.sender(channel)
        else:
            sender, receiver = extension.sender(channel), extension.receiver(channel)
        ends = TransferSender(sender), TransferReceiver(receiver)
        return cls(party, channel, *ends, extension.bits_sent)

    def run(self, makings: Sequence[Making], ots: tuple[int, int] = (0, 0)) -> list[Any]:
        """What each returns. The other party runs the same at the same time. `ots`: how many they take, with
        party 0 and party 1 as receiver, where that is known: they are made ahead. Raises MPC-R004..R008.
        """
        self._transfers.announce(ots)
        results: list[Any] = completed(together(makings), self._answer)
        return results

    def _answer(self, requests: Sequence[Request]) -> list[Any]:
        """Those of a step."""
        step = Step(self.index, requests, self.extension_bits)
        return step.assemble(
            Answers(
                self._transfers.answer(step.transfers),
                self._elementwise.products(step.products) if step.products else [],
                self._rlwe.matrix_products(step.matrices) if step.matrices else [],
            )
        )

    def _choose(self, requests: Sequence[Request]) -> list[Any]:
        return self._transfers.answer([request for request in requests if isinstance(request, Choose)])
