import pytest

import tiny_model
from anchorstream.runtime import Session


@pytest.fixture(scope="session")
def model_path(tmp_path_factory):
    return tiny_model.save(tmp_path_factory.mktemp("model") / "loud.onnx")


@pytest.fixture(scope="session")
def session(model_path):
    return Session.open(model_path)


@pytest.fixture(scope="session")
def trigger_path(tmp_path_factory):
    return tiny_model.save_trigger(tmp_path_factory.mktemp("model") / "trigger.onnx")


@pytest.fixture(scope="session")
def trigger(trigger_path):
    return Session.open(trigger_path)
