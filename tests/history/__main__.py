import sys

from tests.history import write

write(again=sys.argv[1:])
