"""The measured figures of raftedu: ``python -m bench``. Nothing in `tests` rests on them."""

import raftedu.live  # noqa: F401 - it tells gRPC to be quiet, which must be before anything here loads grpc
