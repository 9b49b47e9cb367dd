"""Operation classes of the three stages; importing this package registers them all."""

from mpcc.ir.dialects import tensor, experts, share, protocol, party  # noqa: I001 (party mirrors the others)
from mpcc.ir.dialects.base import OperationClass, definition, operations_of

__all__ = ["OperationClass", "definition", "experts", "operations_of", "party", "protocol", "share", "tensor"]
