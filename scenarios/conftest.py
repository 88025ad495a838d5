"""Makes `pytest scenarios` collect the scenario files of this directory."""

pytest_plugins = ["harness.pytest_plugin"]
