"""Worker processes are new ones, and none outlives the process that started it."""

import os
import subprocess
import sys
import time

import psutil
import pytest

from imo_engine.system.processes import new_processes

PARENT = """
import os, time
from imo_engine.system.processes import new_processes
with new_processes(1) as executor:
    print(executor.submit(os.getpid).result(), flush=True)
    executor.submit(time.sleep, {seconds}).result()
    time.sleep(600)
"""


@pytest.mark.parametrize("seconds", [0, 600], ids=["waiting", "working"])
def test_they_end_when_their_parent_is_killed(seconds):
    with subprocess.Popen(
        [sys.executable, "-c", PARENT.format(seconds=seconds)], stdout=subprocess.PIPE, text=True
    ) as parent:
        worker = psutil.Process(int(parent.stdout.readline()))
        time.sleep(0.5)
        assert worker.is_running()
        parent.kill()
    psutil.wait_procs([worker], timeout=30)
    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE


def test_what_begins_each_of_them_is_called_first():
    with new_processes(1, os.putenv, "IMO_WORKER", "7") as executor:
        assert executor.submit(os.getpid).result() != os.getpid()
        assert executor.submit(subprocess.check_output, ["printenv", "IMO_WORKER"]).result() == b"7\n"
