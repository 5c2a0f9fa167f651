"""The memory that tensors take."""

from collections.abc import Iterable

from torch import Tensor


def bytes_of(tensors: Iterable[Tensor]) -> int:
    """Bytes of the tensors; a storage that several share counts once."""
    storages = {}
    for tensor in tensors:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr() or id(storage)] = storage.nbytes()
    return sum(storages.values())
