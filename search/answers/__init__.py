"""What came out: fresh seeds and statistics, files that hold the answer, tables and the report."""

import logging

# Where it cannot keep its cache of fonts (no home folder, a read-only one) it says so at every use
logging.getLogger("matplotlib").setLevel(logging.ERROR)
