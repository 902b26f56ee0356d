"""Which of torch's operators are called: on a GPU each but a view is a kernel or more."""

import collections

from torch.utils._python_dispatch import TorchDispatchMode


class Counted(TorchDispatchMode):
    """How often each operator is called."""

    def __init__(self):
        super().__init__()
        self.calls = collections.Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.calls[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))
