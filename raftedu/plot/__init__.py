"""Pictures of a trace, all in one picture language; each takes a trace and gives back matplotlib's own objects.

Rests on the trace; must never know the live cluster: whatever is drawn was read from dump.txt.
"""

from raftedu.plot.lanes import lease_lanes, two_leases
from raftedu.plot.leases import plot_leases
from raftedu.plot.roles import plot_roles
from raftedu.plot.story import plot_story

__all__ = ["lease_lanes", "plot_leases", "plot_roles", "plot_story", "two_leases"]
