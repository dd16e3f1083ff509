"""The tests. This file keeps somebody else's top-level package of this name from standing in for this folder."""
