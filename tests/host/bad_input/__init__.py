"""What people give by mistake: each case names what came, calls what it came to, and knows what must be said."""

from .checks import CHECKS
from .commands import COMMANDS
from .demo import DEMO
from .evidence import EVIDENCE
from .files import FILES
from .folders import FOLDERS
from .graphs import GRAPHS
from .models import MODELS
from .pictures import PICTURES
from .words import WORDS

CASES = [*FILES, *FOLDERS, *PICTURES, *MODELS, *WORDS, *EVIDENCE, *GRAPHS, *DEMO, *COMMANDS, *CHECKS]
