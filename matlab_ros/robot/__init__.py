"""Moving: kinematics, collision, trajectories."""
