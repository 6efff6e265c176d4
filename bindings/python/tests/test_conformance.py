"""tests/conformance.json, and that its generator still writes it."""

import subprocess
import sys

import conformance
import pytest

CASES = conformance.load()


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_conformance(case, tmp_path):
    conformance.Run(case, tmp_path).all_steps()


def test_conformance_file_is_what_the_generator_writes():
    generator = conformance.FILE.parent / "conformance" / "generate.py"
    subprocess.run([sys.executable, generator, "--check"], check=True)
