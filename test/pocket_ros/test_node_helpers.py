"""Small things that code written for rclpy imports from it: names, checks, directories."""

from __future__ import annotations

from pathlib import Path

import pytest
import rclpy
from example_interfaces.action import Fibonacci
from rclpy.action import ActionServer
from rclpy.exceptions import InvalidParameterException
from rclpy.logging import get_logging_directory
from rclpy.parameter import Parameter
from rclpy.topic_or_service_is_hidden import topic_or_service_is_hidden
from rclpy.type_support import (
    check_for_type_support,
    check_is_valid_msg_type,
    check_is_valid_srv_type,
)
from rclpy.utilities import get_available_rmw_implementations
from rclpy.validate_parameter_name import validate_parameter_name
from std_msgs.msg import String
from std_srvs.srv import Trigger


@pytest.mark.parametrize(
    ("name", "hidden"),
    [("/a/b", False), ("/a/_b", True), ("/_a/b", True), ("/a_/b_c", False), ("_", True)],
)
def test_names_with_an_underscore_in_front_are_hidden(name, hidden):
    assert topic_or_service_is_hidden(name) == hidden


def test_kinds_of_interfaces_are_told_apart():
    for interface in (String, Trigger, Fibonacci):
        check_for_type_support(interface)
    check_is_valid_msg_type(String)
    check_is_valid_srv_type(Trigger)
    for check, wrong in (
        (check_is_valid_msg_type, Trigger),
        (check_is_valid_msg_type, Fibonacci),
        (check_is_valid_srv_type, String),
    ):
        with pytest.raises(RuntimeError):
            check(wrong)


def test_parameters_need_a_name():
    assert validate_parameter_name("gains.p")
    with pytest.raises(InvalidParameterException):
        validate_parameter_name("")


def test_logs_have_a_directory(monkeypatch, tmp_path):
    assert isinstance(get_logging_directory(), Path)
    monkeypatch.setenv("ROS_LOG_DIR", str(tmp_path))
    assert get_logging_directory() == tmp_path


def test_middleware_is_one_of_those_that_there_are():
    assert rclpy.get_rmw_implementation_identifier() in get_available_rmw_implementations()


def test_package_offers_what_code_takes_from_it_directly():
    assert rclpy.Parameter is Parameter
    assert callable(rclpy.install_signal_handlers)
    assert callable(rclpy.uninstall_signal_handlers)


def test_action_server_tells_its_type(ros):
    server = ActionServer(ros.node("server"), Fibonacci, "f", lambda goal: Fibonacci.Result())
    assert server.action_type is Fibonacci
    server.destroy()
