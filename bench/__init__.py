"""The measured figures of raftedu: ``python -m bench``. Nothing in `tests` rests on them."""
