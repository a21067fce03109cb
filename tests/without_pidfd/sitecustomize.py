"""On the path of a Python, this takes away what Linux alone has to hold on to a process."""

import os
import signal

for module, name in ((os, "pidfd_open"), (signal, "pidfd_send_signal")):
    if hasattr(module, name):
        delattr(module, name)
