"""What the first training step imports by itself, seconds of it: the fork server pays it once.

torch's first optimizer step loads torch._dynamo, compiled or not. Only imports: a parallel region
or a CUDA call here would break the processes that are forked from this one.
"""

import torch._dynamo

import objectives.cnn
