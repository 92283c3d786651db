"""An exhibit: what an audit shows, as a folder that can be handed to a court and checked by anybody.

wanted                                               function
the folder, for either side                          `write_exhibit`
whether a folder is what was written                 `verify_exhibit`

It holds the finding on a page, a table of works, the spans that the model writes word for word, the controls, and the
SHA-256 of all of it and of all that it rests on. The same run directory gives the same bytes.
"""

from ..words import Side
from ._manifest import Manifest
from ._verify import Compared, Part, State, Verification, verify_exhibit
from ._works import works_of
from ._write import write_exhibit

__all__ = [
    "Compared",
    "Manifest",
    "Part",
    "Side",
    "State",
    "Verification",
    "verify_exhibit",
    "works_of",
    "write_exhibit",
]
