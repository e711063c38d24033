"""Package of the lab, for pip and for colcon (ament_python) alike."""

from pathlib import Path

from setuptools import find_packages, setup

PACKAGE = "matlab_ros"
INTERFACES = "matlab_ros_interfaces"


def files_below(folder: str, target: str) -> list[tuple[str, list[str]]]:
    """Entries for data_files: every file below `folder`, in the same shape below `target`."""
    found: dict[str, list[str]] = {}
    for path in sorted(Path(folder).rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            place = Path(target) / path.parent.relative_to(folder)
            found.setdefault(str(place), []).append(str(path))
    return sorted(found.items())


share = f"share/{PACKAGE}"
data_files = [
    ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
    (share, ["package.xml"]),
]
for folder in ("launch", "config", "urdf", "rviz", "worlds"):
    data_files += files_below(folder, f"{share}/{folder}")
# pocket_ros reads interfaces as text; a real ROS builds the package matlab_ros_interfaces.
for kind in ("msg", "srv", "action"):
    data_files += files_below(
        f"{INTERFACES}/{kind}", f"share/pocket_ros/interfaces/{INTERFACES}/{kind}"
    )

setup(
    name=PACKAGE,
    version="0.1.0",
    description="A self-driving solid-state synthesis laboratory on ROS 2",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=["matlab_ros", "matlab_ros.*", "pocket_ros", "pocket_ros.*"]),
    package_data={"pocket_ros": ["interfaces/**/*"], "matlab_ros.monitor": ["page/*"]},
    data_files=data_files,
    zip_safe=False,
    install_requires=[
        "setuptools",
        "shtab>=1.8",
        "numpy>=1.26",
        "scipy>=1.15",
        "torch>=2.2",
        "botorch>=0.11",
        "gpytorch>=1.11",
        "linear-operator>=0.5",
        "pyserial>=3.5",
        "pymodbus>=3.8,<4",
        "transforms3d>=0.4.1",
        "gemmi>=0.6.5",
        "spglib>=2.5",
        'rietx>=1.10; python_version >= "3.11"',
        "numba>=0.59",
        "eclipse-zenoh>=1.6",
        "xxhash>=3.4",
        "SQLAlchemy>=2.0",
        "alembic>=1.13",
        "rich>=13",
        "PyYAML>=6",
        "pydantic>=2.6",
        "plotly>=5.18",
        "matplotlib>=3.8",
        "ruckig>=0.9",
    ],
    tests_require=["pytest"],
    extras_require={
        "planners": ["nimo>=2.1", "baybe>=0.15", "ax-platform>=1.2", "pandas>=2"],
        "mujoco": ["mujoco>=3.3"],
        "robot-check": ["pin>=3"],
        "postgresql": ["psycopg[binary]>=3.1"],
        "chemistry": ["reaction-network>=8.3"],
        "archive": ["rocrate>=0.13", "pyarrow>=15"],
        "docs": ["mkdocs-material>=9.6,<10"],
        "monitor": ["aiohttp>=3.14"],
        "record": ["rosbags>=0.11", "mcap>=1.2"],
        "security": ["cryptography>=42"],
        "test": [
            "cryptography>=42",
            "pytest>=8",
            "pytest-xdist>=3.6",
            "hypothesis>=6.90",
            "psycopg[binary]>=3.1",
            "rosbags>=0.11",
            "reaction-network>=8.3",
            "rocrate>=0.13",
            "pyarrow>=15",
            "aiohttp>=3.14",
            "mkdocs-material>=9.6,<10",
            "playwright>=1.40",
            "mcap>=1.2",
            "mcap-ros2-support>=0.5",
            'ros2-pyterfaces; python_version >= "3.11"',
            "xacro>=2",
        ],
        "check": ["ruff>=0.8", "mypy>=1.11", "types-PyYAML"],
    },
    entry_points={
        # Launch tests in world B; beside a real launch_testing it does nothing.
        "pytest11": ["pocket_ros.pytest_plugin = pocket_ros.pytest_plugin"],
        "console_scripts": [
            "matlab-ros = matlab_ros.cli:main",
            "pocket-ros = pocket_ros.cli:main",
            "lab_manager_node = matlab_ros.nodes.lab_manager:main",
            "planner_node = matlab_ros.nodes.planner:main",
            "dispenser_node = matlab_ros.nodes.dispenser:main",
            "arm_node = matlab_ros.nodes.arm:main",
            "furnace_node = matlab_ros.nodes.furnace:main",
            "characterisation_node = matlab_ros.nodes.characterisation:main",
            "virtual_lab_node = matlab_ros.nodes.virtual_lab:main",
            "gripper_node = matlab_ros.nodes.gripper:main",
            "monitor_node = matlab_ros.nodes.monitor_command:main",
            "recorder_node = matlab_ros.nodes.recorder:main",
            "markers_node = matlab_ros.nodes.markers:main",
        ],
    },
)
